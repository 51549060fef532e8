// Words for a shell (bash).

// What a reader would not see, or see elsewhere than it stands: controls, and marks that turn the text around.
const UNSEEN = /[\0-\x1f\x7f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const bytesOf = (text: string) => [...new TextEncoder().encode(text)].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('');

/** As it is where that is safe, else in quotes; what cannot be seen as its bytes, $'\x00'. */
export function quote(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) {
    return word;
  }
  if (word.search(UNSEEN) >= 0) {
    return `$'${word.replace(/[\\']/g, '\\$&').replace(UNSEEN, bytesOf)}'`;
  }
  return `'${word.replace(/'/g, `'\\''`)}'`;
}

/** The same of a percent-encoded name, which may be any bytes. */
export function quoteRaw(raw: string): string {
  try {
    return quote(decodeURIComponent(raw));
  } catch {
    return `$'${raw.replace(/'/g, "\\'").replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => `\\x${hex.toLowerCase()}`)}'`;
  }
}
