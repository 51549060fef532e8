// Where the bytes of an archive come from: a file, or what a gzip file holds. Never all of it in memory.

export interface Source {
  /** Up to `length` bytes from `offset`; fewer only at the end. */
  chunk(offset: number, length: number): Promise<Blob>;
  close(): void;
}

export async function bytesOf(source: Source, offset: number, length: number): Promise<Uint8Array> {
  return new Uint8Array(await (await source.chunk(offset, length)).arrayBuffer());
}

class FileSource implements Source {
  constructor(private readonly file: Blob) {}

  chunk(offset: number, length: number) {
    return Promise.resolve(this.file.slice(offset, offset + length));
  }

  close() {
    // a slice holds nothing
  }
}

/** Goes forward only; whoever asks for what is behind makes it start again. */
class GzipSource implements Source {
  private reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  private rest: Uint8Array = new Uint8Array(0);
  private at = 0; // offset of rest[0]

  constructor(private readonly file: Blob) {}

  close() {
    void this.reader?.cancel().catch(() => undefined);
    this.reader = null;
  }

  async chunk(offset: number, length: number): Promise<Blob> {
    if (!this.reader || offset < this.at) {
      this.close();
      const plain = this.file.stream().pipeThrough(new DecompressionStream('gzip') as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
      this.reader = plain.getReader();
      this.rest = new Uint8Array(0);
      this.at = 0;
    }
    await this.take(offset - this.at, null);
    const parts: Uint8Array[] = [];
    await this.take(length, parts);
    return new Blob(parts as BlobPart[]);
  }

  /** Takes `n` bytes, into `into` when it is there. */
  private async take(n: number, into: Uint8Array[] | null) {
    let left = n;
    while (left > 0) {
      if (this.rest.length === 0) {
        const next = await this.reader?.read();
        if (!next || next.done) {
          return;
        }
        this.rest = next.value;
      }
      const part = this.rest.subarray(0, left);
      into?.push(part);
      this.rest = this.rest.subarray(part.length);
      this.at += part.length;
      left -= part.length;
    }
  }
}

export async function isGzip(file: Blob): Promise<boolean> {
  const [a, b] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return a === 0x1f && b === 0x8b;
}

export async function openSource(file: Blob): Promise<Source> {
  return (await isGzip(file)) ? new GzipSource(file) : new FileSource(file);
}
