// The table of contents of a tar: ustar, with the long names of GNU and of pax. Sources: POSIX.1-2017 pax
// "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
import { Problem } from './problem';
import { bytesOf, type Source } from './source';

export interface TarEntry {
  name: string;
  /** What a link leads to, as a name in this tar. */
  link: string | null;
  offset: number;
  size: number;
}

const BLOCK = 512;
const HEADER_BYTES_MAX = 1024 * 1024; // of a long name or a pax header
const ENTRIES_MAX = 100_000;
const utf8 = new TextDecoder();

function text(block: Uint8Array, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return utf8.decode(end < 0 ? field : field.subarray(0, end));
}

function number(block: Uint8Array, from: number, length: number): number {
  if ((block[from] ?? 0) & 0x80) {
    let n = 0; // GNU: binary, for sizes from 8 GiB
    for (let i = from + 1; i < from + length; i++) {
      n = n * 256 + (block[i] ?? 0);
    }
    return n;
  }
  return parseInt(text(block, from, length).trim() || '0', 8);
}

function hasRightSum(block: Uint8Array): boolean {
  const sum = block.reduce((s, b, i) => s + (i >= 148 && i < 156 ? 32 : b), 0);
  return sum === number(block, 148, 8);
}

/** "31 path=a/b\n" again and again. */
export function paxRecords(data: Uint8Array): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(32, at);
    const length = parseInt(utf8.decode(data.subarray(at, space)), 10);
    if (space < 0 || !(length > 0)) {
      break;
    }
    const record = utf8.decode(data.subarray(space + 1, at + length - 1));
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

/** "a/./b/../c" -> "a/c", so that one name has one spelling. */
export function plainName(name: string): string {
  const out: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') {
      out.pop();
    } else if (part !== '' && part !== '.') {
      out.push(part);
    }
  }
  return out.join('/');
}

function linkOf(type: string, name: string, target: string): string | null {
  switch (type) {
    case '1':
      return plainName(target); // hard: from the top
    case '2':
      return plainName(`${name}/../${target}`); // symbolic: from where it stands
    default:
      return null;
  }
}

/** All files and links, by name; of two with one name the last counts, as with tar itself. */
export async function readTar(source: Source, onOffset: (offset: number) => void = () => undefined): Promise<Map<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  let longName: string | null = null;
  let longLink: string | null = null;
  let pax = new Map<string, string>();
  for (let at = 0; ; ) {
    const head = await bytesOf(source, at, BLOCK);
    if (head.length < BLOCK || head.every((b) => b === 0)) {
      if (at === 0) {
        throw new Problem('no_tar');
      }
      return entries;
    }
    if (!hasRightSum(head)) {
      throw new Problem(at === 0 ? 'no_tar' : 'broken', String(at));
    }
    const type = String.fromCharCode(head[156] || 48);
    const size = Number(pax.get('size') ?? number(head, 124, 12));
    const data = at + BLOCK;
    if ('LKxg'.includes(type)) {
      if (size > HEADER_BYTES_MAX) {
        throw new Problem('broken', String(at));
      }
      const bytes = await bytesOf(source, data, size);
      if (type === 'L') {
        longName = text(bytes, 0, size);
      } else if (type === 'K') {
        longLink = text(bytes, 0, size);
      } else if (type === 'x') {
        pax = paxRecords(bytes);
      }
    } else {
      const isUstar = text(head, 257, 5) === 'ustar' && head[262] === 0;
      const prefix = isUstar ? text(head, 345, 155) : '';
      const name = plainName(pax.get('path') ?? longName ?? (prefix ? `${prefix}/` : '') + text(head, 0, 100));
      const link = linkOf(type, name, pax.get('linkpath') ?? longLink ?? text(head, 157, 100));
      if (link !== null || type === '0' || type === '7') {
        entries.set(name, { name, link, offset: data, size: link === null ? size : 0 });
      }
      if (entries.size > ENTRIES_MAX) {
        throw new Problem('no_image');
      }
      longName = longLink = null;
      pax = new Map();
    }
    const isEmpty = type === '1' || type === '2' || type === '5';
    at = data + (isEmpty ? 0 : Math.ceil(size / BLOCK) * BLOCK);
    onOffset(at);
  }
}

/** The file that a name leads to. */
export function follow(entries: Map<string, TarEntry>, name: string): TarEntry | null {
  let entry = entries.get(plainName(name));
  for (let hops = 0; entry?.link !== null && entry && hops < 8; hops++) {
    entry = entries.get(entry.link);
  }
  return entry && entry.link === null ? entry : null;
}
