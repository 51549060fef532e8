// Names and paths of files in volumes. A path inside a volume is kept percent-encoded ("raw") everywhere in the
// console: names may be any bytes, and this is the one form in which all of them have a text.
import { path } from './client';
import type { Entry } from './types';

/** Which volume. */
export interface Place {
  project: string;
  volume: string;
}

/** Like encodeURIComponent, which throws on half of a surrogate pair, and leaves quotes that end those of a shell. */
export function encodeName(name: string): string {
  const whole = name.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd');
  return encodeURIComponent(whole).replace(/'/g, '%27');
}

export const rawOf = (entry: Entry): string => entry.name_raw?.replace(/'/g, '%27') ?? encodeName(entry.name);
export const joinRaw = (dir: string, name: string): string => (dir ? `${dir}/${name}` : name);
export const lastOf = (raw: string): string => raw.slice(raw.lastIndexOf('/') + 1);
export const parentOf = (raw: string): string => raw.slice(0, Math.max(0, raw.lastIndexOf('/')));
/** "a/b c" as a user types it -> "a/b%20c"; slashes too many are dropped. */
export const rawPath = (typed: string): string => typed.split('/').filter(Boolean).map(encodeName).join('/');

/** A raw path as text; bytes that are no UTF-8 as \xFF. */
export function decodeRaw(raw: string): string {
  return raw.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return oneByOne(run);
    }
  });
}

function oneByOne(run: string): string {
  let done = '';
  for (let i = 0; i < run.length; ) {
    let length = 12; // a character of UTF-8 is at most four bytes
    for (; length > 0; length -= 3) {
      try {
        const text = decodeURIComponent(run.slice(i, i + length));
        if (length === 3 || [...text].length === 1) {
          done += text;
          break;
        }
      } catch {
        // shorter
      }
    }
    if (length === 0) {
      done += `\\x${run.slice(i + 1, i + 3).toUpperCase()}`;
      length = 3;
    }
    i += length;
  }
  return done;
}

/** A name so that one sees what it is: controls, and marks that turn the text around, as their code. */
export function visible(name: string): string {
  return name.replace(/[\0-\x1f\x7f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

export const shown = (raw: string): string => visible(decodeRaw(raw));

export const volumesUrl = (project: string) => path`/api/v1/projects/${project}/volumes`;
export const volumeUrl = (p: Place) => path`/api/v1/projects/${p.project}/volumes/${p.volume}`;
export const treeUrl = (p: Place, raw: string) => volumeUrl(p) + (raw ? `/tree/${raw}` : '/tree');
/** Everything below a folder, or in the volume, as one tar. */
export const archiveUrl = (p: Place, raw: string) => volumeUrl(p) + (raw ? `/archive/${raw}` : '/archive');
export const fileUrl = (p: Place, raw: string) => `${volumeUrl(p)}/files/${raw}`;
export const dirUrl = (p: Place, raw: string) => `${volumeUrl(p)}/dirs/${raw}`;
/** The page of a folder. */
export const pageOf = (p: Place, raw = '') => path`/p/${p.project}/data/${p.volume}` + (raw ? `/${raw}` : '');

/** The cursor with which a list begins at the first name that is not before `name`: the one just before it. */
export function cursorBefore(name: string): string | null {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > 255) {
    return null;
  }
  const before = new Uint8Array(255).fill(0xff);
  before.set(bytes);
  const last = bytes.length - 1;
  before[last] = (bytes[last] ?? 1) - (bytes[last] === 0x30 ? 2 : 1); // no name holds "/", which is before "0"
  const used = before[last] === 0 ? before.subarray(0, last) : before;
  return used.length === 0
    ? null
    : btoa(String.fromCharCode(...used)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
