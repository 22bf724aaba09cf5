"""Predictors: from a picture and the bought labels to a prediction for every pixel."""

from sfumato.pixels.predictors.base import check_predictor as check_predictor
from sfumato.pixels.predictors.kernel import KernelInterpolation as KernelInterpolation
from sfumato.pixels.predictors.kernel_unet import KernelUNet as KernelUNet
from sfumato.pixels.predictors.store import load_predictor as load_predictor
from sfumato.pixels.predictors.store import save_predictor as save_predictor
from sfumato.pixels.predictors.unet import UNet as UNet
