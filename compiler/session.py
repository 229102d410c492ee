"""`InferenceSession`: ONNX Runtime's interface over a compiled model.

    session = compiler.InferenceSession("model.onnx")
    (y,) = session.run(None, {"x": x})

Some models say too little about their inputs to be compiled for all shapes: a rank is missing, or
an operator needs a size as a number. The session then compiles them again for the shapes of each
run's inputs, keeps the latest results, and says so: in the log, and by `specialized`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.driver import Request, build
from compiler.signature import ModelMetadata, NodeArg, arguments_of, metadata_of
from compiler.source import Model
from compiler.target import Target
from runtime.errors import InputError, UnsupportedError
from runtime.network import Network

if TYPE_CHECKING:
    import numpy as np

    from compiler.pipeline import Pipeline
    from compiler.specialize import Specialized

log = logging.getLogger("terrace")

PROVIDER = "CPUExecutionProvider"
"""What ONNX Runtime calls running on the CPU."""


@dataclass
class SessionOptions:
    """ONNX Runtime's options.

    Used are ``intra_op_num_threads`` (0: all cores this process may use) and sizes fixed by
    `add_free_dimension_override_by_name`. The others say how ONNX Runtime goes about its work;
    they are accepted and mean nothing here.
    """

    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    graph_optimization_level: Any = None
    execution_mode: Any = None
    execution_order: Any = None
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_mem_reuse: bool = True
    enable_profiling: bool = False
    profile_file_prefix: str = ""
    optimized_model_filepath: str = ""
    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    use_deterministic_compute: bool = False
    use_per_session_threads: bool = True
    session_config_entries: dict[str, str] = field(default_factory=dict)
    fixed_sizes: dict[str, int] = field(default_factory=dict)

    def add_free_dimension_override_by_name(self, name: str, value: int) -> None:
        """Fixes the symbolic size ``name`` of the inputs."""
        self.fixed_sizes[name] = value

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Notes an entry; none means anything here."""
        self.session_config_entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """An entry noted before. Raises KeyError when there is none."""
        return self.session_config_entries[key]


@dataclass
class RunOptions:
    """ONNX Runtime's options of one run; accepted, without a meaning here."""

    log_severity_level: int = -1
    log_verbosity_level: int = 0
    logid: str = ""
    only_execute_path_to_fetches: bool = False
    terminate: bool = False
    training_mode: bool = False


class InferenceSession:
    """A compiled model that runs as ONNX Runtime's does. Any number of threads may run it.

    ``dims`` fixes symbolic sizes; ``target``, ``passes`` and ``cache`` are those of
    `compiler.compile`. ``providers`` are looked at only to say in the log that all runs on the CPU.
    Raises what `compiler.compile` raises.
    """

    def __init__(
        self,
        path_or_bytes: Model,
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, Mapping[Any, Any]]] | None = None,
        provider_options: Sequence[Mapping[Any, Any]] | None = None,
        *,
        dims: Mapping[str, int] | None = None,
        target: str | Target = "host",
        passes: Pipeline | str | None = None,
        cache: bool = True,
        autotune: bool = False,
        disabled_optimizers: Sequence[str] | None = None,
    ) -> None:
        self._options = SessionOptions() if sess_options is None else sess_options
        self._cache = cache
        _note_other_providers(providers)
        fixed = {**self._options.fixed_sizes, **(dims or {})}
        request = Request.of(path_or_bytes, target, fixed, passes, autotune)
        self._network: Network | None = None
        self._specialized: Specialized | None = None
        try:
            self._network = self._load(request)
        except UnsupportedError as error:
            from compiler.specialize import Specialized

            self._specialized = Specialized(request, self._load, error)

    def _load(self, request: Request) -> Network:
        threads = self._options.intra_op_num_threads
        device = f"cpu:threads={threads}" if threads > 0 else "cpu"
        return Network(build(request, self._cache).program, device)

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: RunOptions | None = None,
    ) -> list[np.ndarray]:
        """Runs on inputs by name and gives the outputs that are named, or all, in order.

        Raises InputError for inputs that do not fit and for unknown output names, and what the
        model itself reports.
        """
        network = self._network
        if network is None:
            network = self._for_shapes(input_feed)
        if not output_names:
            return network.run_in_order(input_feed)
        found = network.run(input_feed)
        try:
            return [found[name] for name in output_names]
        except KeyError as error:
            known = ", ".join(found)
            raise InputError(f"there is no output {error}", hint=f"outputs are {known}") from error

    def _for_shapes(self, feed: Mapping[str, Any]) -> Network:
        assert self._specialized is not None
        return self._specialized.network(feed)

    @property
    def network(self) -> Network | None:
        """The network for all shapes; None when there are only those of `specialized`."""
        return self._network

    @property
    def specialized(self) -> list[dict[str, tuple[int, ...]]] | None:
        """None when the model is compiled for all shapes, else the shapes that it is compiled for
        so far, by input."""
        return None if self._specialized is None else self._specialized.shapes

    def get_inputs(self) -> list[NodeArg]:
        """Name, type and shape of every input."""
        if self._network is None:
            assert self._specialized is not None
            return list(self._specialized.signature.inputs)
        return arguments_of(self._network.inputs, self._network)

    def get_outputs(self) -> list[NodeArg]:
        """Name, type and shape of every output."""
        if self._network is None:
            assert self._specialized is not None
            return list(self._specialized.signature.outputs)
        return arguments_of(self._network.outputs, self._network)

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Inputs with a default value: none, they are constants here."""
        return []

    def get_modelmeta(self) -> ModelMetadata:
        """What the model says about itself."""
        if self._network is None:
            assert self._specialized is not None
            return metadata_of(self._specialized.signature.metadata)
        return metadata_of(self._network.metadata)

    def get_providers(self) -> list[str]:
        """What ONNX Runtime calls running on the CPU."""
        return [PROVIDER]

    def get_session_options(self) -> SessionOptions:
        """The options that the session was made with."""
        return self._options


def _note_other_providers(
    providers: Sequence[str | tuple[str, Mapping[Any, Any]]] | None,
) -> None:
    names = [entry if isinstance(entry, str) else entry[0] for entry in providers or ()]
    if others := [name for name in names if name != PROVIDER]:
        log.warning("%s: not available, running on the CPU", ", ".join(others))
