// Requests to the server: JSON in and out, the session's CSRF token, errors as people and pages need them.

import { serverText } from '../i18n/server';

export interface Mistake {
  line: number;
  column: number;
  key: string;
  message: string;
}

/** An answer that is no success, in the language of the page. `status` 0: the server was not reached. */
export class ApiError extends Error {
  /** As the server said it: what its log has, and what programs look at. */
  readonly original: string;

  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    readonly requestId: string | null,
    readonly mistakes: Mistake[] = [],
  ) {
    super(serverText(message));
    this.original = message;
  }
}

let csrf = '';

/** The token that every change by a session must bring; it is kept in memory only. */
export function setCsrf(token: string) {
  csrf = token;
  if (token) {
    sessionListeners.forEach((l) => l());
  }
}

/** Which session requests of now belong to. */
export const currentSession = () => csrf;

export function csrfHeaders(): Record<string, string> {
  return csrf ? { 'X-CSRF-Token': csrf } : {};
}

let onSignedOut: () => void = () => undefined;

/** Called when the server says that nobody is signed in any more. */
export function whenSignedOut(listener: () => void) {
  onSignedOut = listener;
}

/** A 401 to a request of `session`. It is late when somebody has signed in since: then it says nothing of now. */
export function refused(session: string) {
  if (session === csrf) {
    onSignedOut();
  }
}

export async function errorOf(response: Response): Promise<ApiError> {
  const id = response.headers.get('X-Request-Id');
  try {
    const { error, errorType } = (await response.json()) as {
      error: { kind: string; message: string; request_id?: string; mistakes?: Mistake[] } | string;
      errorType?: string;
    };
    if (typeof error === 'string') {
      return new ApiError(response.status, errorType ?? 'unknown', error, id); // Prometheus' API
    }
    return new ApiError(response.status, error.kind, error.message, error.request_id ?? id, error.mistakes);
  } catch {
    return new ApiError(response.status, 'unknown', response.statusText || `HTTP ${response.status}`, id);
  }
}

export interface RequestOptions {
  body?: unknown; // sent as JSON
  text?: string; // sent as it is
  bytes?: Blob; // the same for what is no text; it has a type of its own
  type?: string; // Content-Type of `text`
  signal?: AbortSignal;
  headers?: Record<string, string>; // besides the usual ones (Range)
  /** A 401 is an answer, not the end of the session (signing in). */
  isSignIn?: boolean;
}

export async function request(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...csrfHeaders(), ...options.headers };
  const session = csrf;
  let body: string | Blob | undefined;
  if (options.bytes !== undefined) {
    body = options.bytes;
  } else if (options.text !== undefined) {
    headers['Content-Type'] = options.type ?? 'text/plain; charset=utf-8';
    body = options.text;
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body, signal: options.signal, credentials: 'same-origin' });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') {
      throw cause;
    }
    throw new ApiError(0, 'unreachable', 'The server cannot be reached.', null);
  }
  if (!response.ok) {
    if (response.status === 401 && !options.isSignIn) {
      refused(session);
    }
    throw await errorOf(response);
  }
  return response;
}

export async function api<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
  const response = await request(method, path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => api<T>('GET', path, { signal });

/** One page of a list. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

/** A path with its parts escaped: path`/api/v1/projects/${project}/jobs`. */
export function path(strings: TemplateStringsArray, ...parts: string[]): string {
  return strings.reduce((done, s, i) => done + encodeURIComponent(parts[i - 1] ?? '') + s);
}

/** The same for a path of several components, whose slashes stay. */
export function filePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/');
}

const sessionListeners = new Set<() => void>();

/** Called whenever there is a session (again). Returns how to stop it. */
export function onSession(listener: () => void): () => void {
  sessionListeners.add(listener);
  return () => void sessionListeners.delete(listener);
}

/** For requests that are not made here (uploads). */
export function noteSignedOut() {
  onSignedOut();
}
