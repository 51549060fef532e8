// One request of an upload. XMLHttpRequest, because fetch cannot tell how much has been sent.
import { ApiError, csrfHeaders } from '../api/client';

export interface Answer {
  status: number; // 0: the server was not reached
  offset: number | null; // Upload-Offset
  size: number | null; // Content-Length, of HEAD
  etag: string | null;
  sha256: string | null;
  error: ApiError | null;
}

export interface Call {
  headers?: Record<string, string>;
  body?: Blob;
  signal: AbortSignal;
  onProgress?: (sent: number) => void;
}

/** Rejects only when aborted. */
export type Wire = (method: 'PUT' | 'HEAD' | 'DELETE', url: string, call: Call) => Promise<Answer>;

interface Body {
  sha256?: string;
  error?: { kind: string; message: string; request_id?: string };
}

function bodyOf(x: XMLHttpRequest): Body {
  try {
    return JSON.parse(x.responseText) as Body;
  } catch {
    return {};
  }
}

const number = (text: string | null) => (text === null || text === '' ? null : Number(text));

function answerOf(x: XMLHttpRequest): Answer {
  const body = bodyOf(x);
  const id = x.getResponseHeader('X-Request-Id');
  const isGood = x.status >= 200 && x.status < 300;
  return {
    status: x.status,
    offset: number(x.getResponseHeader('Upload-Offset')),
    size: number(x.getResponseHeader('Content-Length')),
    etag: x.getResponseHeader('ETag'),
    sha256: body.sha256 ?? null,
    error: isGood
      ? null
      : new ApiError(x.status, body.error?.kind ?? 'unknown', body.error?.message ?? (x.statusText || `HTTP ${x.status}`), body.error?.request_id ?? id),
  };
}

const AWAY: Answer = {
  status: 0,
  offset: null,
  size: null,
  etag: null,
  sha256: null,
  error: new ApiError(0, 'unreachable', 'The server cannot be reached.', null),
};

export const wire: Wire = (method, url, call) =>
  new Promise((done, failed) => {
    const x = new XMLHttpRequest();
    const stop = () => x.abort();
    const end = (then: () => void) => {
      call.signal.removeEventListener('abort', stop);
      then();
    };
    if (call.signal.aborted) {
      failed(call.signal.reason);
      return;
    }
    call.signal.addEventListener('abort', stop);
    x.open(method, url);
    x.setRequestHeader('Accept', 'application/json');
    for (const [name, value] of Object.entries({ ...csrfHeaders(), ...call.headers })) {
      x.setRequestHeader(name, value);
    }
    x.upload.onprogress = (e) => call.onProgress?.(e.loaded);
    x.onload = () => end(() => done(answerOf(x)));
    x.onerror = () => end(() => done(AWAY));
    x.onabort = () => end(() => failed(call.signal.reason));
    x.send(call.body ?? null);
  });
