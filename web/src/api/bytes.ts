// The beginning of a file.
import { ApiError, errorOf } from './client';
import { fileUrl, type Place } from './files';

export interface Bytes {
  bytes: Uint8Array<ArrayBuffer>;
  total: number;
  modified: string | null;
  isCut: boolean; // there is more
}

export async function readBytes(place: Place, raw: string, limit: number, signal?: AbortSignal): Promise<Bytes> {
  let answer: Response;
  try {
    answer = await fetch(fileUrl(place, raw), { headers: { Range: `bytes=0-${limit - 1}` }, signal, cache: 'no-cache' });
  } catch (cause) {
    if (signal?.aborted) {
      throw cause;
    }
    throw new ApiError(0, 'unreachable', 'The server cannot be reached.', null);
  }
  const modified = answer.headers.get('Last-Modified');
  if (answer.status === 416) {
    return { bytes: new Uint8Array(), total: 0, modified, isCut: false }; // nothing has no first byte
  }
  if (!answer.ok) {
    throw await errorOf(answer);
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const total = Number(/\/(\d+)$/.exec(answer.headers.get('Content-Range') ?? '')?.[1] ?? bytes.length);
  return { bytes, total, modified, isCut: total > bytes.length };
}
