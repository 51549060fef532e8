// Makes tars for tests: names, links, and what GNU and pax do with long names.
export interface Made {
  name: string;
  data?: Uint8Array | string;
  type?: string;
  link?: string;
}

const encoder = new TextEncoder();

function header(name: string, size: number, type: string, link: string): Uint8Array {
  const block = new Uint8Array(512);
  const put = (at: number, s: string) => block.set(encoder.encode(s), at);
  put(0, name);
  put(100, '0000644\0');
  put(124, `${size.toString(8).padStart(11, '0')}\0`);
  put(156, type);
  put(157, link);
  put(257, 'ustar\x0000');
  block.fill(32, 148, 156);
  put(148, `${block.reduce((s, b) => s + b, 0).toString(8).padStart(6, '0')}\0 `);
  return block;
}

export function makeTar(files: Made[]): Blob {
  const parts: Uint8Array[] = [];
  for (const f of files) {
    const data = typeof f.data === 'string' ? encoder.encode(f.data) : (f.data ?? new Uint8Array(0));
    parts.push(header(f.name, data.length, f.type ?? '0', f.link ?? ''), data, new Uint8Array((512 - (data.length % 512)) % 512));
  }
  return new Blob([...parts, new Uint8Array(1024)] as BlobPart[]);
}

export async function gzip(blob: Blob): Promise<Blob> {
  return new Response(blob.stream().pipeThrough(new CompressionStream('gzip'))).blob();
}
