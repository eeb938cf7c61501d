"""The networks of docs/networks.md: sixty of torchvision and timm, of every family, small and large.

Their weights are drawn from a seed; nothing is downloaded (``pip install '.[zoo]'``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lenetshift import ops  # noqa: F401  registers shift_each

CLASSES = 100
"""What all networks tell apart."""

CALIBRATION = 8
"""Images that set the statistics of batch normalizations."""


@dataclass(frozen=True)
class Entry:
    """A network of the table.

    Attributes:
        name: as its library has it.
        size: height and width of its images, in pixels.
        make: makes it.
        library: where it comes from.
    """

    name: str
    size: int
    make: Callable[[], nn.Module] = field(repr=False)
    library: str


def of_torchvision(name: str, size: int, **settings: Any) -> Entry:
    """A network of torchvision."""

    def make() -> nn.Module:
        from torchvision import models

        model: nn.Module = models.get_model(name, weights=None, num_classes=CLASSES, **settings)
        return model

    return Entry(name, size, make, "torchvision")


def of_timm(name: str, size: int, **settings: Any) -> Entry:
    """A network of timm."""

    def make() -> nn.Module:
        import timm

        model: nn.Module = timm.create_model(name, num_classes=CLASSES, **settings)
        return model

    return Entry(name, size, make, "timm")


ENTRIES = (
    of_torchvision("alexnet", 224),
    of_torchvision("vgg11", 64),
    of_torchvision("vgg16_bn", 64),
    of_torchvision("resnet18", 224),
    of_torchvision("resnet50", 128),
    of_torchvision("resnext50_32x4d", 96),
    of_torchvision("wide_resnet50_2", 64),
    of_torchvision("densenet121", 96),
    of_torchvision("googlenet", 128, init_weights=False),
    of_torchvision("inception_v3", 128, init_weights=False),
    of_torchvision("squeezenet1_1", 224),
    of_torchvision("mobilenet_v2", 224),
    of_torchvision("mobilenet_v3_small", 224),
    of_torchvision("mobilenet_v3_large", 128),
    of_torchvision("mnasnet1_0", 128),
    of_torchvision("shufflenet_v2_x1_0", 224),
    of_torchvision("efficientnet_b0", 224),
    of_torchvision("efficientnet_v2_s", 96),
    of_torchvision("regnet_x_400mf", 224),
    of_torchvision("regnet_y_400mf", 224),
    of_torchvision("convnext_tiny", 96),
    of_torchvision("swin_t", 96),
    of_torchvision("swin_v2_t", 96),
    of_torchvision("maxvit_t", 224),
    of_torchvision("vit_b_32", 224),
    of_timm("resnet10t", 32),
    of_timm("resnet26", 64),
    of_timm("resnetblur50", 96),
    of_timm("resnet50_gn", 64),
    of_timm("seresnet50", 96),
    of_timm("skresnet18", 128),
    of_timm("res2net50_26w_4s", 96),
    of_timm("dla34", 128),
    of_timm("hrnet_w18_small", 128),
    of_timm("ese_vovnet19b_dw", 128),
    of_timm("cspresnet50", 96),
    of_timm("repvgg_a0", 128),
    of_timm("mobileone_s0", 128),
    of_timm("ghostnet_100", 224),
    of_timm("tinynet_e", 106),
    of_timm("lcnet_050", 224),
    of_timm("mobilenetv4_conv_small", 224),
    of_timm("nf_resnet26", 96),
    of_timm("eca_nfnet_l0", 96),
    of_timm("convnext_atto", 224),
    of_timm("convmixer_768_32", 96),
    of_timm("inception_next_atto", 224),
    of_timm("poolformer_s12", 96),
    of_timm("edgenext_xx_small", 224),
    of_timm("mobilevit_xxs", 128),
    of_timm("fastvit_t8", 128),
    of_timm("efficientformer_l1", 224),
    of_timm("coatnet_nano_rw_224", 224),
    of_timm("levit_128s", 224),
    of_timm("vit_tiny_patch16_224", 224),
    of_timm("deit_tiny_distilled_patch16_224", 224),
    of_timm("xcit_nano_12_p16_224", 224),
    of_timm("cait_xxs24_224", 224),
    of_timm("mixer_s32_224", 224),
    of_timm("resmlp_12_224", 224),
    of_timm("gmlp_ti16_224", 224),
)
"""The sizes are those for which the networks are made, 224, if they are small, and less for large ones; the
last number of a name is the size that the network cannot do without."""

QUICK = ("resnet10t", "vgg11", "seresnet50", "mobilenet_v3_small", "convnext_atto", "mixer_s32_224")
"""The networks of ``--quick``."""


def images_of(size: int, n: int) -> Tensor:
    """Pictures without a blank margin, from a seed: uint8 ``[n, 3, size, size]``, smooth with some noise."""
    generator = torch.Generator().manual_seed(size)
    coarse = torch.rand(n, 3, 8, 8, generator=generator)
    smooth = F.interpolate(coarse, size=(size, size), mode="bilinear")
    noise = torch.rand(n, 3, size, size, generator=generator)
    return ((0.8 * smooth + 0.2 * noise) * 255).to(torch.uint8)


def made(entry: Entry) -> nn.Module:
    """A network in eval mode, from a seed, with the parameters that a trained one could have.

    Libraries begin with biases of 0 and with scales of 1, 0 or 1e-6, which hide whole branches: these are
    drawn. Batch normalizations take their statistics from some images.
    """
    torch.manual_seed(0)
    model = entry.make().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.numel() and (parameter == parameter.flatten()[0]).all():
                draw(name, parameter)
        calibrate(model, moved(images_of(entry.size, CALIBRATION)).float() / 255)
    return model


def moved(images: Tensor) -> Tensor:
    """Each image moved by another shift, so that its margins are black as in an evaluation."""
    shifts = torch.tensor([[1, -2], [-2, 1], [0, 0], [-1, -1]]).repeat(len(images) // 4 + 1, 1)
    result: Tensor = torch.ops.lenetshift.shift_each(images, shifts[: len(images)])
    return result


def draw(name: str, parameter: Tensor) -> None:
    """Give a parameter that is the same everywhere different values."""
    if name.endswith("bias"):
        parameter.uniform_(-0.1, 0.1)
    elif parameter.dim() > 1 and min(parameter.shape[:2]) > 1:  # of a layer, not a scale
        parameter.normal_(0, parameter[0].numel() ** -0.5)
    else:
        parameter.uniform_(0.5, 1)


def calibrate(model: nn.Module, images: Tensor) -> None:
    """Set the statistics of batch normalizations to those of some images ``[n, 3, size, size]``.

    Untrained features may hardly differ from image to image. A normalization that made up for it would
    enlarge rounding errors, too, until no answer means anything: so a variance is at least the squared mean.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.running_var.clamp_(min=norm.running_mean.square())
        norm.eval()
        norm.momentum = momentum
