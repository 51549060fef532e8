// Pushes an image of an archive to /v2/: what is there already is skipped, the rest goes in pieces.
import { blobExists, cancelUpload, patchUpload, putManifest, finishUpload, startUpload } from '../../../api/registry';
import { blobsInOrder, type ArchiveImage, type PlacedBlob } from './archive';
import { Problem } from './problem';
import type { Source } from './source';

const MIB = 1024 * 1024;

export interface PushProgress {
  done: number; // bytes, skipped ones too
  total: number;
  sent: number;
  skipped: number; // blobs that were there
  blobs: number;
}

interface Push {
  repository: string; // with the project
  tag: string;
  signal: AbortSignal;
  onProgress: (p: PushProgress) => void;
}

/** A piece should take about a second: long enough to be quick, short enough to see it move. */
function nextPiece(bytes: number, ms: number): number {
  return ms < 500 ? Math.min(bytes * 2, 16 * MIB) : ms > 2000 ? Math.max(bytes / 2, MIB) : bytes;
}

async function pushBlob(source: Source, blob: PlacedBlob, to: Push, onBytes: (n: number) => void) {
  let location = await startUpload(to.repository, to.signal);
  try {
    let piece = 2 * MIB;
    for (let at = 0; at < blob.size; ) {
      const part = await source.chunk(blob.offset + at, Math.min(piece, blob.size - at));
      if (part.size === 0) {
        throw new Problem('broken', blob.digest);
      }
      const began = performance.now();
      location = await patchUpload(location, part, at, to.signal);
      piece = nextPiece(piece, performance.now() - began);
      at += part.size;
      onBytes(part.size);
    }
    await finishUpload(location, blob.digest, to.signal);
  } catch (e) {
    void cancelUpload(location);
    throw e;
  }
}

export async function pushImage(image: ArchiveImage, source: Source, to: Push): Promise<void> {
  const blobs = blobsInOrder(image);
  const p: PushProgress = { done: 0, total: blobs.reduce((s, b) => s + b.size, 0), sent: 0, skipped: 0, blobs: blobs.length };
  const tell = () => to.onProgress({ ...p });
  tell();
  for (const blob of blobs) {
    if (await blobExists(to.repository, blob.digest, to.signal)) {
      p.skipped++;
      p.done += blob.size;
      tell();
      continue;
    }
    await pushBlob(source, blob, to, (n) => {
      p.done += n;
      p.sent += n;
      tell();
    });
  }
  const last = image.manifests.length - 1;
  for (const [i, m] of image.manifests.entries()) {
    await putManifest(to.repository, i === last ? to.tag : m.digest, m.mediaType, m.body, to.signal);
  }
}
