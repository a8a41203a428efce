"""Seccomp: a Linux process gives up system calls, for itself and its children.

https://docs.kernel.org/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_GET_ACTION_AVAILABLE = 2
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
# Instructions of the filter: load a word of the call, compare it, return an action. Offsets of `struct seccomp_data`.
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32_CALLS = 0x40000000  # a second numbering of the calls on x86_64
_NAMESPACES = 0x7E020080  # flags of clone that create namespaces


@dataclass(frozen=True)
class _Processor:
    """The numbers of system calls on one kind of processor."""

    audit: int
    seccomp: int
    socket: int
    clone: int
    clone3: int
    denied: tuple[int, ...]


# Denied: access to other processes, mounts, namespaces, kernel modules, keys, clocks, BPF, and io_uring, whose
# operations a filter does not see. In this order: ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd mount
# umount2 pivot_root chroot unshare setns bpf perf_event_open userfaultfd io_uring_setup io_uring_enter
# io_uring_register keyctl add_key request_key kexec_load init_module finit_module delete_module open_by_handle_at
# swapon swapoff reboot settimeofday clock_settime acct quotactl fanotify_init mount_setattr move_mount open_tree fsopen
# fsmount fsconfig fspick
_PROCESSORS = {
    "x86_64": _Processor(0xC000003E, 317, 41, 56, 435, (
        101, 310, 311, 312, 438, 165, 166, 155, 161, 272, 308, 321, 298, 323, 425, 426, 427, 250, 248, 249, 246, 175,
        313, 176, 304, 167, 168, 169, 164, 227, 163, 179, 300, 442, 429, 428, 430, 432, 431, 433)),
    "aarch64": _Processor(0xC00000B7, 277, 198, 220, 435, (
        117, 270, 271, 272, 438, 40, 39, 41, 51, 97, 268, 280, 241, 282, 425, 426, 427, 219, 217, 218, 104, 105, 273,
        106, 265, 224, 225, 142, 170, 112, 89, 60, 262, 442, 429, 428, 430, 432, 431, 433)),
}
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def is_available() -> bool:
    """Whether this kernel and processor can filter system calls."""
    processor = _PROCESSORS.get(platform.machine())
    if _LIBC is None or processor is None:
        return False
    action = ctypes.c_uint32(_ERROR)
    return int(_LIBC.syscall(processor.seccomp, _GET_ACTION_AVAILABLE, 0, ctypes.byref(action))) == 0


def restrict(families: Collection[int]) -> None:
    """Deny this process calls that reach outside of it, and sockets of other families than these. Raises OSError."""
    assert _LIBC is not None
    program = _program(_PROCESSORS[platform.machine()], families)
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _LIBC.prctl(
            _PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(program) // 8, program)), 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _program(processor: _Processor, families: Collection[int]) -> bytes:
    denied, missing = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS
    steps: list[bytes] = [
        _step(_LOAD, _ARCHITECTURE), _step(_EQUAL, processor.audit, 1, 0), _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER), _step(_AT_LEAST, _X32_CALLS, 0, 1), _step(_RETURN, _KILL)]
    steps += _on_call(processor.clone3, [_step(_RETURN, missing)])  # the C library then uses clone
    steps += _on_call(processor.clone, [
        _step(_LOAD, _FIRST_ARGUMENT), _step(_HAS_BITS, _NAMESPACES, 0, 1), _step(_RETURN, denied),
        _step(_RETURN, _ALLOW)])
    allowed = [part for family in sorted(families)
               for part in (_step(_EQUAL, family, 0, 1), _step(_RETURN, _ALLOW))]
    steps += _on_call(processor.socket, [_step(_LOAD, _FIRST_ARGUMENT), *allowed, _step(_RETURN, denied)])
    for call in processor.denied:
        steps += _on_call(call, [_step(_RETURN, denied)])
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def _on_call(number: int, steps: Sequence[bytes]) -> list[bytes]:
    """Do these steps on a system call, and skip them on another; the call's number is loaded before and after."""
    return [_step(_EQUAL, number, 0, len(steps)), *steps]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


INTERNET = (socket.AF_INET, socket.AF_INET6, getattr(socket, "AF_NETLINK", socket.AF_INET))
"""The families that a client of the internet needs; the last one lists this machine's own addresses."""
