"""Classifiers for small pictures: the default one, and those of the source documents' tables."""

from sfumato.train.networks.dense import mlp as mlp
from sfumato.train.networks.lenet import lenet5 as lenet5
from sfumato.train.networks.small import small_cnn as small_cnn
from sfumato.train.networks.vgg import vgg16 as vgg16
from sfumato.train.networks.vgg import vgg_convolutional as vgg_convolutional
