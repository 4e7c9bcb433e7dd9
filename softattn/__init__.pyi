# What a type checker knows of the names that `softattn` loads when they are first asked for.
import os
from typing import Literal, TypeVar, overload

import torch
from torch import nn

from softattn.alignment import DateTranslator
from softattn.draw import DRAW
from softattn.glimpse import GlimpseClassifier
from softattn.handwriting import HandwritingPredictor
from softattn.lineage import NTMCell
from softattn.page import styles as styles
from softattn.prediction import PredictionNetwork
from softattn.proofreading import write as write
from softattn.reading import HandwritingReader, WordReader
from softattn.reading import read as read
from softattn.synthesis import HandwritingSynthesizer
from softattn.transformer import CausalTransformer
from softattn.vae import VAE

__version__: str

_Path = str | os.PathLike[str]
_Device = str | torch.device | None
_M = TypeVar("_M", bound=nn.Module)

@overload
def load(name_or_path: Literal["synthesis", "synthesis-free"], device: _Device = None) -> HandwritingSynthesizer: ...
@overload
def load(name_or_path: Literal["handwriting"], device: _Device = None) -> HandwritingPredictor: ...
@overload
def load(name_or_path: Literal["reading", "reading-free"], device: _Device = None) -> HandwritingReader: ...
@overload
def load(
    name_or_path: Literal["words-content", "words-location", "words-joint"], device: _Device = None
) -> WordReader: ...
@overload
def load(
    name_or_path: Literal["draw-mnist", "draw-svhn", "draw-house-free", "draw-pairs"], device: _Device = None
) -> DRAW: ...
@overload
def load(name_or_path: Literal["glimpse"], device: _Device = None) -> GlimpseClassifier: ...
@overload
def load(name_or_path: Literal["vae-mnist", "vae-map"], device: _Device = None) -> VAE: ...
@overload
def load(name_or_path: Literal["prediction", "prediction-book"], device: _Device = None) -> PredictionNetwork: ...
@overload
def load(name_or_path: Literal["ntm-copy"], device: _Device = None) -> NTMCell: ...
@overload
def load(name_or_path: Literal["transformer-text"], device: _Device = None) -> CausalTransformer: ...
@overload
def load(name_or_path: Literal["dates", "dates-fixed"], device: _Device = None) -> DateTranslator: ...
@overload
def load(name_or_path: _Path, device: _Device = None, *, cls: type[_M]) -> _M: ...
@overload
def load(name_or_path: _Path, device: _Device = None) -> nn.Module: ...
