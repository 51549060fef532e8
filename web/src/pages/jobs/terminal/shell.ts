// A shell in a job over WebSocket: the channel protocol of docs/formats/exec.md.
import { ApiError, request } from '../../../api/client';

export const CHANNEL = { input: 0, output: 1, error: 2, status: 3, resize: 4 } as const;

/** How a shell ended: by itself, because of something that is told, or nobody knows (the connection was cut). */
export type End = { kind: 'exit'; code: number } | { kind: 'told'; message: string } | { kind: 'cut' };

export function frame(channel: number, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + 1);
  out[0] = channel;
  out.set(bytes, 1);
  return out;
}

interface Status {
  status?: string;
  message?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** The Status that comes on its channel before the end. */
export function endOf(text: string): End {
  let s: Status;
  try {
    s = JSON.parse(text) as Status;
  } catch {
    return { kind: 'cut' };
  }
  if (s.status === 'Success') {
    return { kind: 'exit', code: 0 };
  }
  const code = s.details?.causes?.find((c) => c.reason === 'ExitCode')?.message;
  return code !== undefined && /^\d+$/.test(code) ? { kind: 'exit', code: Number(code) } : { kind: 'told', message: s.message ?? '' };
}

export interface ShellEvents {
  opened: () => void;
  output: (bytes: Uint8Array) => void;
  ended: (end: End) => void;
}

const text = new TextEncoder();

/** Browsers do not say why a handshake was refused; a plain request of the same address does. */
async function whyRefused(url: string): Promise<End> {
  try {
    await request('GET', url);
  } catch (e) {
    const error = e as ApiError;
    return error.status >= 401 ? { kind: 'told', message: error.message } : { kind: 'cut' };
  }
  return { kind: 'cut' };
}

export class Shell {
  private readonly ws: WebSocket;
  private wasOpen = false;
  private end: End = { kind: 'cut' };
  private isOver = false;

  constructor(url: string, events: ShellEvents) {
    this.ws = new WebSocket(url.replace(/^\//, `${location.origin.replace(/^http/, 'ws')}/`), 'v5.channel.k8s.io');
    this.ws.binaryType = 'arraybuffer';
    this.ws.onopen = () => {
      this.wasOpen = true;
      events.opened();
    };
    this.ws.onmessage = (m: MessageEvent<ArrayBuffer>) => {
      const bytes = new Uint8Array(m.data);
      if (bytes[0] === CHANNEL.output || bytes[0] === CHANNEL.error) {
        events.output(bytes.subarray(1));
      } else if (bytes[0] === CHANNEL.status) {
        this.end = endOf(new TextDecoder().decode(bytes.subarray(1)));
      }
    };
    this.ws.onclose = async () => {
      const end = this.wasOpen ? this.end : await whyRefused(url);
      if (!this.isOver) {
        this.isOver = true;
        events.ended(end);
      }
    };
  }

  private send(channel: number, bytes: Uint8Array) {
    if (this.ws.readyState === WebSocket.OPEN) {
      this.ws.send(frame(channel, bytes));
    }
  }

  /** A message takes at most 1 MiB; what is pasted may be longer. */
  type(typed: string) {
    const bytes = text.encode(typed);
    for (let at = 0; at < bytes.length; at += 65536) {
      this.send(CHANNEL.input, bytes.subarray(at, at + 65536));
    }
  }

  /** Bytes that are no text: reports of the mouse. */
  typeBinary(typed: string) {
    this.send(CHANNEL.input, Uint8Array.from(typed, (c) => c.charCodeAt(0)));
  }

  resize(columns: number, rows: number) {
    this.send(CHANNEL.resize, text.encode(JSON.stringify({ Width: columns, Height: rows })));
  }

  /** Nobody wants it any more: no event follows. */
  close() {
    this.isOver = true;
    this.ws.close();
  }
}
