#!/usr/bin/env python3
"""Packs the console for the program: every file of a folder as gzip in one file, and a C table that includes it.

Usage: tools/web_pack.py web/dist console.bin console_files.c     A folder that is not there makes an empty table.
"""
import gzip
import hashlib
import pathlib
import sys

TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8',
         '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2', '.json': 'application/json',
         '.md': 'text/markdown; charset=utf-8', '.webmanifest': 'application/manifest+json', '.txt': 'text/plain; charset=utf-8'}


def write(path, data):
    """Only what has changed: what is made from it is made again."""
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def main():
    dist, binary, table = map(pathlib.Path, sys.argv[1:])
    files = sorted(p for p in dist.rglob('*') if p.is_file() and not p.name.startswith('.')) if dist.is_dir() else []
    rows, data = [], b''
    for path in files:
        name, plain = path.relative_to(dist).as_posix(), path.read_bytes()
        if path.suffix not in TYPES:
            sys.exit(f'web_pack: {name}: no type is known for {path.suffix!r}; add it to TYPES')
        packed = gzip.compress(plain, 9, mtime=0)
        etag = hashlib.sha256(plain).hexdigest()[:24]
        rows.append(f'    {{"{name}", "{TYPES[path.suffix]}", "\\"{etag}\\"",\n     console_bytes + {len(data)}, '
                    f'{len(packed)}, {len(plain)}}},\n')
        data += packed
    write(binary, data)
    lines = ['/* Made by tools/web_pack.py. */\n#include "main/console.h"\n\n']
    if rows:
        lines.append('extern const unsigned char console_bytes[];\n'
                     '__asm__(".pushsection .rodata\\n.global console_bytes\\nconsole_bytes:\\n"\n'
                     f'        ".incbin \\"{binary.resolve()}\\"\\n.popsection\\n");\n\n')
    lines += ['const struct console_file console_files[] = {\n', *rows, '    {0},\n};\n']
    write(table, ''.join(lines).encode())


if __name__ == '__main__':
    main()
