"""A pruned network on disk: safetensors and readable JSON, ONNX, and an exported program."""

from sfumato.compression.store.export import export_onnx as export_onnx
from sfumato.compression.store.export import export_program as export_program
from sfumato.compression.store.network import load_network as load_network
from sfumato.compression.store.network import save_network as save_network
