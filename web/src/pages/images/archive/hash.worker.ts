// Hashes a part of an archive, away from the page. In: what to hash. Out: how far it is, then the digest.
import { Sha256 } from './sha256';
import { openSource } from './source';

const STEP = 4 * 1024 * 1024;

export interface HashJob {
  file: Blob;
  offset: number;
  size: number;
}
export type HashNews = { done: number } | { digest: string } | { error: string };

async function hash({ file, offset, size }: HashJob, tell: (news: HashNews) => void) {
  const source = await openSource(file);
  const sum = new Sha256();
  for (let at = 0; at < size; ) {
    const part = await source.chunk(offset + at, Math.min(STEP, size - at));
    if (part.size === 0) {
      throw new Error('the archive ends early');
    }
    sum.update(new Uint8Array(await part.arrayBuffer()));
    at += part.size;
    tell({ done: at });
  }
  source.close();
  tell({ digest: `sha256:${sum.hex()}` });
}

self.onmessage = (m: MessageEvent<HashJob>) => {
  hash(m.data, (news) => self.postMessage(news)).catch((e: unknown) => self.postMessage({ error: String(e) } satisfies HashNews));
};
