"""The private folder on a board, into which no other user can put a program that would be run.

A file in the shared temporary folder of a board may belong to anyone. The program is therefore
stored in a folder of mode 0700 that is owned by the login and is no link, and its size and hash are
checked before every run.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .texts import harmless

MARK = "@costmodel "
"""Prefix of the program's lines; a login may print other lines."""

PREFIXES = ("armbench-", "engine-", "network-", "probe-")
"""Prefixes of the names of all files in the folder."""

_PREPARE = r"""
umask 077
skip() {{ echo "{mark}skip $d: $1"; }}
for d in {folders}; do
  case "$d" in /?*) ;; *) continue ;; esac
  mkdir -p "${{d%/*}}" 2>/dev/null
  mkdir "$d" 2>/dev/null
  if [ -L "$d" ] || [ ! -d "$d" ]; then skip "it is no folder and cannot be made"; continue; fi
  if [ ! -O "$d" ]; then skip "it belongs to another user"; continue; fi
  chmod 700 "$d" || continue
  p="$d/probe-$$"; rm -rf "$p"
  (set -C; printf '#!/bin/sh\nexit 0\n' > "$p") 2>/dev/null
  if ! chmod 700 "$p" 2>/dev/null || [ ! -s "$p" ]; then
    rm -rf "$p"; skip "no space is left in it, or it cannot be written"; continue
  fi
  "$p" >/dev/null 2>&1; r=$?; rm -f "$p"
  if [ $r -ne 0 ]; then skip "programs in it are not run (mounted noexec)"; continue; fi
  f="$d/{name}"; h=absent
  if [ ! -L "$f" ] && [ -f "$f" ] && [ "$(wc -c < "$f")" -eq {size} ]; then
    h=$( (sha256sum < "$f" || toybox sha256sum < "$f" || busybox sha256sum < "$f") 2>/dev/null)
    h="${{h%% *}}"; [ -n "$h" ] || h=unknown
  fi
  echo "{mark}hash $h"; echo "{mark}folder $d"; break
done
echo "{mark}machine $(uname -m)"
"""


@dataclass(frozen=True)
class Program:
    """A required file on the board: the program, an engine, a network.

    Parameters
    ----------
    content : bytes
        Its content.
    stem, ending : str
        Beginning and end of its name.
    """

    content: bytes
    stem: str = "armbench"
    ending: str = ""

    @property
    def sha256(self) -> str:
        """Its hash."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """Its file name, which differs between versions."""
        return f"{self.stem}-{self.sha256[:16]}{self.ending}"


@dataclass(frozen=True)
class Found:
    """The board's report on its private folder.

    Parameters
    ----------
    folder : str
        Its path; empty if there is none.
    sha256 : str
        Hash of the program in it; ``absent``, or ``unknown`` if the board cannot compute hashes.
    machine : str
        The output of ``uname -m``.
    skipped : tuple of str
        Folders that cannot be used, each with the reason.
    """

    folder: str = ""
    sha256: str = "absent"
    machine: str = ""
    skipped: tuple[str, ...] = ()


def prepare_command(program: Program, folders: Sequence[str]) -> str:
    """Return the shell command that makes the folder and checks the program in it.

    Parameters
    ----------
    program : Program
        The required program.
    folders : sequence of str
        Words of a shell, tried in order: the first private one that runs programs is used.
    """
    size = len(program.content)
    return _PREPARE.format(folders=" ".join(folders), mark=MARK, name=program.name, size=size)


def read_found(stdout: bytes) -> Found | None:
    """Read the answer to :func:`prepare_command`; None where the command was not run at all."""
    said: dict[str, str] = {}
    skipped = []
    for line in stdout.decode(errors="replace").splitlines():
        if not line.startswith(MARK):
            continue
        key, _, value = line.removeprefix(MARK).partition(" ")
        if key == "skip":
            skipped.append(harmless(value))
        else:
            said[key] = value.strip()
    if "machine" not in said:
        return None
    return _found(said, tuple(skipped))


def _found(said: Mapping[str, str], skipped: tuple[str, ...]) -> Found:
    return Found(
        said.get("folder", ""),
        said.get("hash", "absent"),
        harmless(said["machine"]),
        skipped,
    )


def receive_command(program: Program, folder: str, write: str) -> str:
    """Return the command that puts the program in its place, whole or not at all.

    Parameters
    ----------
    program : Program
        What is sent.
    folder : str
        The private folder.
    write : str
        Writes it to the file ``$p``; ``cat > "$p"`` for what comes on standard input.
    """
    final = shlex.quote(f"{folder}/{program.name}")
    part = shlex.quote(f"{folder}/{program.name}.part")
    # An existing file is removed, never written through; `set -C` rejects one made meanwhile.
    return (
        f'p={part}; f={final}; umask 077; {write} && [ "$(wc -c < "$p")" -eq '
        f'{len(program.content)} ] && chmod 700 "$p" && rm -rf "$f" && mv "$p" "$f" '
        '|| { rm -rf "$p"; exit 1; }'
    )


FROM_INPUT = 'rm -rf "$p" && set -C && cat > "$p"'
"""For :func:`receive_command`: the program comes on standard input."""
