// A password that nobody has to think up: 20 letters without those that look alike.
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'; // 31

export function newPassword(length = 20): string {
  let out = '';
  while (out.length < length) {
    for (const b of crypto.getRandomValues(new Uint8Array(32))) {
      if (b < 31 * 8 && out.length < length) {
        out += LETTERS[b % 31]; // the rest of the bytes would make some letters likelier
      }
    }
  }
  return out;
}
