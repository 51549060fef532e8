"""A disk that keeps only what was asked of it: replays the system calls of a server, as strace wrote them, on a model of a file system.

A change of a file or of a directory is in memory until fsync or fdatasync of that very file or directory has returned; what began after the
sync did is not part of it. POSIX promises no more than that, and file systems that do more are not relied on. What a power loss leaves:

LEAST   only what was synced
NAMES   what was synced of the bytes, but every name that was made, moved or removed: a journal that is ahead of the data
MIXED   of all that was not synced, names and pages of 4 KiB, some by chance

Processes that made another directory their root are followed: `inside` says where the paths that they see lie.

Not modelled: owners and modes (what is rebuilt takes those of the real directory, or what mkdir said), and memory that is mapped: SQLite maps its -shm only, which it
makes anew, and modules map what they spill only, which ends with them."""
import os
import pathlib
import random
import re

LEAST, NAMES, MIXED = 'least', 'names', 'mixed'
PAGE = 4096
CALLS = ('openat,openat2,open,creat,clone,clone3,fork,vfork,pivot_root,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,chdir,write,pwrite64,writev,'
         'pwritev,pwritev2,truncate,ftruncate,fallocate,copy_file_range,splice,sendfile,fsync,fdatasync,sync,syncfs,sendto,sendmsg')
WHERE = r'(?:AT_FDCWD|-?\d+)<((?:\\x[0-9a-f]{2})*)>(?:\(deleted\))?'
TEXT = r'"((?:\\x[0-9a-f]{2})*)"'


def text(hexadecimal):
    return bytes.fromhex(hexadecimal.replace('\\x', ''))


def strace(log):
    """The command in front of another that writes its calls down; -D: the other stays our child."""
    return ['strace', '-D', '-f', '-y', '-xx', '-qq', '-s', '300000', '-e', 'signal=none', '-e', f'trace={CALLS}', '-o', str(log)]


class File:
    def __init__(self, content=b''):
        self.now, self.synced, self.since, self.at = bytearray(content), bytes(content), [], 0

    def write(self, offset, data):
        if len(self.now) < offset:
            self.now.extend(bytes(offset - len(self.now)))
        self.now[offset:offset + len(data)] = data
        for start in range(offset - offset % PAGE, offset + len(data), PAGE):
            a, b = max(start, offset), min(start + PAGE, offset + len(data))
            self.since.append((a, data[a - offset:b - offset]))

    def cut(self, size):
        self.now[size:] = bytes(max(0, size - len(self.now)))
        self.since.append((size, None))

    def begin_sync(self):
        return bytes(self.now), len(self.since)

    def end_sync(self, begun):
        self.synced, self.since = begun[0], self.since[begun[1]:]

    def after(self, loss, chance):
        if loss != MIXED:
            return self.synced
        out = bytearray(self.synced)
        for offset, data in self.since:
            if chance.random() < 0.5:
                if data is None:
                    out[offset:] = bytes(max(0, offset - len(out)))
                else:
                    out.extend(bytes(max(0, offset - len(out))))
                    out[offset:offset + len(data)] = data
        return bytes(out)


class Link:
    """None is made while we look."""

    def __init__(self, target):
        self.now = target


class Directory:
    def __init__(self, content=None, mode=0o755):
        self.now, self.mode = dict(content or {}), mode
        self.synced = dict(self.now)

    def begin_sync(self):
        return dict(self.now)

    def end_sync(self, begun):
        self.synced = begun

    def after(self, loss, chance):
        if loss == LEAST:
            return self.synced
        if loss == NAMES:
            return self.now
        names = {name: (self.now if chance.random() < 0.5 else self.synced).get(name) for name in {**self.now, **self.synced}}
        return {name: node for name, node in names.items() if node is not None}


def load(path):
    """What lies there, all of it synced."""
    if path.is_dir():
        return Directory({p.name: Link(os.readlink(p)) if p.is_symlink() else load(p) for p in path.iterdir()})
    return File(path.read_bytes() if path.is_file() else b'')


class Disk:
    """Below `root`; what happens elsewhere, and in `others` (paths below it), is not its business."""

    def __init__(self, root, others=()):
        self.root, self.top, self.others = pathlib.Path(root), load(pathlib.Path(root)), others
        self.cwd, self.home = {}, b'/'  # children begin where their parent is: in the state directory
        self.parent, self.roots = {}, {}

    def of_process(self, pid, values, otherwise):
        """What it or the nearest of its parents has."""
        while pid is not None and pid not in values:
            pid = self.parent.get(pid)
        return values.get(pid, otherwise)

    def inside(self, pid, path):
        """Where a path lies that a process sees below its own root."""
        return self.of_process(pid, self.roots, '') + path

    def split(self, pid, where, name):
        """(directory of the model, last name) of a path; None: not ours."""
        path = os.path.normpath(os.path.join(os.fsdecode(where or self.of_process(pid, self.cwd, self.home)), os.fsdecode(name)))
        inside = os.path.relpath(self.inside(pid, path), self.root)
        if inside.startswith('..') or self.of_others(inside):
            return None, None
        if inside == '.':
            return Directory({'.': self.top}), '.'
        *folders, last = inside.split('/')
        at = self.top
        for folder in folders:
            at = at.now.get(folder) if isinstance(at, Directory) else None
        return (at, last) if isinstance(at, Directory) else (None, None)

    def of_others(self, inside):
        return any(inside == other or inside.startswith(other + '/') for other in self.others)

    def node(self, pid, path):
        at, last = self.split(pid, b'/', path)
        return at.now.get(last) if at else None

    # --- calls; each gets the pid and its arguments as strace wrote them ---

    def opened(self, pid, args, _):
        m = re.match(rf'(?:{WHERE}, )?{TEXT}, (?:{{flags=)?([A-Z_|0-9x]+)', args)
        where, name, flags = text(m.group(1) or ''), text(m.group(2)), m.group(3).split('|')
        at, last = self.split(pid, where, name)
        if at is None:
            return
        if 'O_CREAT' in flags and last not in at.now:
            at.now[last] = File()
        node = at.now.get(last)
        if isinstance(node, File) and 'O_RDONLY' not in flags:
            node.at = len(node.now) if 'O_APPEND' in flags else 0
            if 'O_TRUNC' in flags:
                node.cut(0)

    def made(self, pid, args, _):
        where, name, mode = re.match(rf'(?:{WHERE}, )?{TEXT}, (0\d*)', args).groups()
        at, last = self.split(pid, text(where or ''), text(name))
        if at is not None:
            at.now[last] = Directory(mode=int(mode, 8))

    def removed(self, pid, args, _):
        where, name = re.match(rf'(?:{WHERE}, )?{TEXT}', args).groups()
        at, last = self.split(pid, text(where or ''), text(name))
        if at is not None:
            at.now.pop(last, None)

    def moved(self, pid, args, _, keep=False):
        m = re.match(rf'(?:{WHERE}, )?{TEXT}, (?:{WHERE}, )?{TEXT}(.*)', args)
        assert 'RENAME_EXCHANGE' not in m.group(5), args
        (a, old), (b, new) = (self.split(pid, text(m.group(i) or ''), text(m.group(i + 1))) for i in (1, 3))
        node = a.now.get(old) if a is not None else None
        if a is not None and not keep:
            a.now.pop(old, None)
        if b is not None and node is not None:
            b.now[new] = node

    def linked(self, pid, args, result):
        self.moved(pid, args, result, keep=True)

    def entered(self, pid, args, _):
        self.cwd[pid] = os.path.join(self.of_process(pid, self.cwd, self.home), text(re.match(TEXT, args).group(1)))
        if self.home == b'/' and self.cwd[pid].startswith(os.fsencode(self.root)):
            self.home = self.cwd[pid]

    def enclosed(self, pid, _, __):
        self.roots[pid] = os.fsdecode(self.of_process(pid, self.cwd, self.home))

    def file(self, pid, args):
        m = re.match(WHERE, args)
        node = self.node(pid, text(m.group(1))) if m else None
        return (node, args[m.end() + 2:]) if isinstance(node, File) else (None, None)

    def wrote(self, pid, args, result):
        node, rest = self.file(pid, args)
        if node is not None:
            data = text(re.match(TEXT, rest).group(1))[:result]
            assert len(data) == result, f'strace cut this short: {args[:200]}'
            node.write(node.at, data)
            node.at += result

    def pwrote(self, pid, args, result):
        node, rest = self.file(pid, args)
        if node is not None:
            m = re.match(rf'{TEXT}, \d+, (\d+)', rest)
            data = text(m.group(1))[:result]
            assert len(data) == result, f'strace cut this short: {args[:200]}'
            node.write(int(m.group(2)), data)

    def truncated(self, pid, args, _):
        node, rest = self.file(pid, args)
        if node is not None:
            node.cut(int(rest))

    def reserved(self, pid, args, _):
        node, rest = self.file(pid, args)
        if node is not None:
            how, offset, size = re.match(r'([A-Z_|0-9x]+), (\d+), (\d+)', rest).groups()
            end = int(offset) + int(size)
            if how == '0' and end > len(node.now):
                node.cut(end)

    def unknown(self, pid, args, _):
        assert self.file(pid, args)[0] is None, f'a call that this model does not know: {args[:200]}'

    ENDED = {'openat': 'opened', 'open': 'opened', 'creat': 'opened', 'mkdir': 'made', 'mkdirat': 'made', 'unlink': 'removed', 'unlinkat': 'removed',
             'rmdir': 'removed', 'rename': 'moved', 'renameat': 'moved', 'renameat2': 'moved', 'link': 'linked', 'linkat': 'linked', 'chdir': 'entered',
             'openat2': 'opened', 'pivot_root': 'enclosed', 'write': 'wrote', 'pwrite64': 'pwrote', 'ftruncate': 'truncated', 'fallocate': 'reserved',
             'writev': 'unknown', 'pwritev': 'unknown', 'pwritev2': 'unknown', 'copy_file_range': 'unknown', 'splice': 'unknown',
             'sendfile': 'unknown'}

    def replay(self, log):
        """Yields the bytes that a call is about to send, when all before it has been done."""
        begun, at = {}, {}
        lines = log.read_text().splitlines()
        self.parent = {int(m.group(2)): int(m.group(1)) for m in map(re.compile(r'(\d+) .*\b(?:clone3?|v?fork)\b.* = (\d+)$').match, lines) if m}
        for line in lines:
            m = re.match(r'(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)', line)
            if m is None:
                continue  # an end of a process
            pid, name, rest = int(m.group(1)), m.group(2) or m.group(3), m.group(4)
            if m.group(3):  # it begins
                if name in ('sendto', 'sendmsg') or (name == 'write' and r'<\x73\x6f\x63\x6b\x65\x74' in rest):
                    yield b''.join(text(part) for part in re.findall(TEXT, rest))
                if name in ('fsync', 'fdatasync'):
                    node = self.node(pid, text(re.match(WHERE, rest).group(1)))
                    begun[pid] = node and (node, node.begin_sync())
                if rest.endswith('<unfinished ...>'):
                    at[pid] = rest.removesuffix('<unfinished ...>').rstrip()
                    continue
            else:
                rest = at.pop(pid, '') + rest
            m = re.match(r'(.*)\)\s+= (-?\d+)', rest)
            if m is None or int(m.group(2)) < 0:
                continue  # it failed, or its process ended in it
            if name in ('fsync', 'fdatasync'):
                if begun.get(pid):
                    begun[pid][0].end_sync(begun[pid][1])
            elif name in self.ENDED:
                getattr(self, self.ENDED[name])(pid, m.group(1), int(m.group(2)))

    # --- after the loss ---

    def rebuild(self, to, loss, owner, seed=0):
        """Writes what is left below a directory that is not there yet; `owner` has what is really there no more."""
        self._rebuild(self.top, self.root, to, loss, owner, random.Random(seed))

    def _rebuild(self, node, real, to, loss, owner, chance):
        if isinstance(node, Link):
            to.symlink_to(node.now)
            os.chown(to, *owner, follow_symlinks=False)
            return
        left = node.after(loss, chance)
        if isinstance(node, File):
            to.write_bytes(left)
            to.chmod(0o600)
        else:
            to.mkdir()
            to.chmod(node.mode)
            for name in sorted(left):
                self._rebuild(left[name], real / name, to / name, loss, owner, chance)
        if real.exists():
            st = real.stat()
            owner = st.st_uid, st.st_gid
            to.chmod(st.st_mode & 0o7777)
        os.chown(to, *owner)


def compare(disk, real):
    """What is in memory at the end is what is really there: else the model missed something. Paths that differ."""
    def walk(node, path):
        if isinstance(node, Directory):
            there = {p.name for p in path.iterdir()} if path.is_dir() else set()
            ours = {name for name in there | set(node.now) if not disk.of_others(os.path.relpath(path / name, real))}
            yield from (str(path / name) for name in ours & (there ^ set(node.now)))
            for name in ours & there & set(node.now):
                yield from walk(node.now[name], path / name)
        elif isinstance(node, File) and path.suffix != '.db-shm' and path.read_bytes() != node.now:
            yield str(path)
    return list(walk(disk.top, real))
