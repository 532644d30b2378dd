"""Failures of torch as people and the contract know them."""

import pytest
import torch
import torch.distributed as dist

from trainer.faults import classify
from wm.errors import BadData, Exit

InductorError = type("InductorError", (RuntimeError,), {"__module__": "torch._inductor.exc"})


@pytest.mark.parametrize(
    ("error", "code", "message", "hint"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried to"),
            Exit.BAD_CONFIG,
            "the GPU's memory is too small: CUDA out of memory.",
            "lower batch or length, or take more processes",
        ),
        (
            InductorError("No working C++ compiler found\n\nSet TORCHDYNAMO_VERBOSE"),
            Exit.BAD_CONFIG,
            "compile is set, and the compiler failed: No working C++ compiler found",
            "install a C++ compiler (g++) where the training runs, or take compile: false",
        ),
        (
            RuntimeError("[../gloo/pair.cc:81] Connection closed by peer [127.0.0.1]:5"),
            Exit.HANG,
            "another training process is gone",
            "",
        ),
        (
            torch.AcceleratorError("CUDA error: an illegal memory access\nCompile with"),
            Exit.DEVICE_FAULT,
            "the GPU failed: CUDA error: an illegal memory access",
            "",
        ),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
            Exit.DEVICE_FAULT,
            "the GPU failed: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
            "",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
            Exit.BAD_CONFIG,
            "the GPU's memory is too small: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling "
            "`cublasCreate`",
            "lower batch or length, or take more processes",
        ),
        (
            dist.DistBackendError("NCCL error in: NCCLUtils.cpp:94, unhandled system error\nLast"),
            Exit.DEVICE_FAULT,
            "the GPUs could not reach each other: NCCL error in: NCCLUtils.cpp:94, unhandled "
            "system error",
            "",
        ),
        (
            dist.DistBackendError(
                "ncclRemoteError: A call failed possibly due to a network error "
                "or a remote process exiting prematurely."
            ),
            Exit.HANG,
            "another training process is gone",
            "",
        ),
    ],
)
def test_what_torch_reports_has_its_code_and_words(
    error: Exception, code: Exit, message: str, hint: str
) -> None:
    found = classify(error)
    assert found is not None
    assert (found.code, found.message, found.hint) == (code, message, hint)


def test_our_own_errors_stay_as_they_are_and_bugs_are_bugs() -> None:
    own = BadData("x")
    assert classify(own) is own
    assert classify(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert classify(RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED")) is None
