#!/usr/bin/env python3
"""Checks that every #include obeys src/LAYERS. Usage: tools/layers.py [root]"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_layers(path):
    """{module: set of modules it may include}, refusing names that do not stand above."""
    layers, errors = {}, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split('#')[0].strip()
        if not line:
            continue
        name, _, uses = line.partition(':')
        for used in uses.split():
            if used not in layers:
                errors.append(f'{path}:{number}: {name} names {used}, which does not stand above it')
        layers[name.strip()] = set(uses.split())
    return layers, errors


def module_of(path, layers):
    """The module a file belongs to: the innermost folder that is a module."""
    for part in reversed(path.parts[:-1]):
        if part in layers:
            return part
    return None


def check_file(path, src, layers):
    module = module_of(path.relative_to(src), layers)
    if module is None:
        return [f'{path}: belongs to no module of LAYERS']
    errors = []
    for header in INCLUDE.findall(path.read_text()):
        used = header.split('/')[0]
        if used == module:
            continue
        if used not in layers:
            if (path.parent / header).exists():
                continue
            errors.append(f'{path}: includes "{header}": no module {used}; write "module/header.h"')
        elif used not in layers[module]:
            errors.append(f'{path}: {module} may not include {used} ("{header}"); see src/LAYERS')
        elif header.endswith('_priv.h'):
            errors.append(f'{path}: "{header}" is private to {used}')
    return errors


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else '.')
    src = root / 'src'
    layers, errors = read_layers(src / 'LAYERS')
    files = sorted(p for p in src.rglob('*') if p.suffix in ('.c', '.h'))
    for path in files:
        errors += check_file(path, src, layers)
    for error in errors:
        print(error)
    print(f'layers: {len(files)} files, {len(errors)} errors')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
