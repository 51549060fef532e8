// What a file is, by its first bytes and its name. SVG and HTML are text here: nothing that could run is shown as itself.
export type Kind = 'text' | 'csv' | 'json' | 'image' | 'hex';

const starts = (b: Uint8Array, ...magic: number[]) => magic.every((m, i) => b[i] === m);

/** The type of an image that is surely no document, or null. */
export function imageType(b: Uint8Array): string | null {
  if (starts(b, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) {
    return 'image/png';
  }
  if (starts(b, 0xff, 0xd8, 0xff)) {
    return 'image/jpeg';
  }
  if (starts(b, 0x47, 0x49, 0x46, 0x38)) {
    return 'image/gif';
  }
  return starts(b, 0x52, 0x49, 0x46, 0x46) && starts(b.subarray(8), 0x57, 0x45, 0x42, 0x50) ? 'image/webp' : null;
}

/** The text of UTF-8 (or UTF-16 with its mark) bytes, which may end inside a character when `isCut`; null: it is none. */
export function textOf(bytes: Uint8Array, isCut: boolean): string | null {
  if (starts(bytes, 0xff, 0xfe) || starts(bytes, 0xfe, 0xff)) {
    return new TextDecoder(bytes[0] === 0xff ? 'utf-16le' : 'utf-16be').decode(bytes);
  }
  if (bytes.includes(0)) {
    return null;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
  } catch {
    return null;
  }
}

const SUFFIXES: Record<string, Kind> = { csv: 'csv', tsv: 'csv', json: 'json', geojson: 'json', ipynb: 'json' };

/** The ways to look at it, the best first. `name` only chooses among what the bytes allow. */
export function kindsOf(name: string, bytes: Uint8Array, text: string | null): Kind[] {
  if (imageType(bytes)) {
    return ['image', 'hex'];
  }
  if (text === null) {
    return ['hex'];
  }
  const better = SUFFIXES[/\.([^.]+)$/.exec(name.toLowerCase())?.[1] ?? ''];
  return better ? [better, 'text', 'hex'] : ['text', 'hex'];
}

/** "00000010  66 6f 6f …  |foo|" */
export function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const hex = part.map((b, i) => b.toString(16).padStart(2, '0') + (i === 7 ? ' ' : '')).join(' ');
    const text = part.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '·')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(49)} |${text}|`);
  }
  return lines;
}
