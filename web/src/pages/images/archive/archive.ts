// The images in an archive: an OCI layout (skopeo, buildx, newer docker save) or a docker-archive (docker save).
// Sources: OCI image-spec 1.1 "Image Layout"; Docker image specification 1.2 "Combined Image JSON + Filesystem".
import { Problem } from './problem';
import { digestOf } from './sha256';
import { bytesOf, type Source } from './source';
import { follow, readTar, type TarEntry } from './tar';

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: { os?: string; architecture?: string };
}

/** A blob as it lies in the archive. */
export interface PlacedBlob {
  digest: string;
  size: number;
  offset: number;
}

export interface ReadyManifest {
  digest: string;
  mediaType: string;
  body: Uint8Array;
}

export interface ArchiveImage {
  /** "busybox:1", as the archive calls it; empty when it does not. */
  name: string;
  blobs: PlacedBlob[];
  /** Those that others name come first; the last is the image. */
  manifests: ReadyManifest[];
}

/** Hashes a part of the archive that nobody has told the digest of. */
export type HashPart = (offset: number, size: number) => Promise<string>;

export const OCI = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const JSON_BYTES_MAX = 4 * 1024 * 1024; // what the server takes as a manifest

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

class Contents {
  constructor(
    readonly source: Source,
    readonly entries: Map<string, TarEntry>,
  ) {}

  need(name: string): TarEntry {
    const entry = follow(this.entries, name);
    if (!entry) {
      throw new Problem('lacks', name);
    }
    return entry;
  }

  async bytes(name: string): Promise<Uint8Array> {
    const { offset, size } = this.need(name);
    if (size > JSON_BYTES_MAX) {
      throw new Problem('broken', name);
    }
    return bytesOf(this.source, offset, size);
  }

  async json<T>(name: string): Promise<T> {
    try {
      return JSON.parse(new TextDecoder().decode(await this.bytes(name))) as T;
    } catch (e) {
      throw e instanceof Problem ? e : new Problem('broken', name);
    }
  }
}

// --- OCI layout ---

interface AnyManifest {
  mediaType?: string;
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
}

const blobName = (digest: string) => `blobs/${digest.replace(':', '/')}`;

function placed(c: Contents, d: Descriptor): PlacedBlob {
  return { digest: d.digest, size: d.size, offset: c.need(blobName(d.digest)).offset };
}

/** Adds a manifest and what it names to the image; its descriptor, which is another one when it had to be cut. */
async function addManifest(c: Contents, d: Descriptor, image: ArchiveImage): Promise<Descriptor> {
  const m = await c.json<AnyManifest>(blobName(d.digest));
  if (!m.manifests) {
    for (const part of [m.config, ...(m.layers ?? [])]) {
      if (part) {
        image.blobs.push(placed(c, part));
      }
    }
    image.manifests.push({ digest: d.digest, mediaType: m.mediaType ?? d.mediaType, body: await c.bytes(blobName(d.digest)) });
    return d;
  }
  const here = m.manifests.filter((child) => follow(c.entries, blobName(child.digest)));
  for (const child of here) {
    await addManifest(c, child, image);
  }
  if (here.length === m.manifests.length) {
    image.manifests.push({ digest: d.digest, mediaType: m.mediaType ?? d.mediaType, body: await c.bytes(blobName(d.digest)) });
    return d;
  }
  // docker save keeps the index of all platforms with the blobs of one: what is not there cannot be pushed.
  const [only] = here;
  if (!only) {
    throw new Problem('lacks', blobName(m.manifests[0]?.digest ?? d.digest));
  }
  if (here.length === 1) {
    return only;
  }
  const body = encode({ ...m, manifests: here });
  const cut = { digest: await digestOf(body), mediaType: m.mediaType ?? OCI.index, body };
  image.manifests.push(cut);
  return { ...d, digest: cut.digest, size: body.length };
}

async function imagesOfLayout(c: Contents): Promise<ArchiveImage[]> {
  const index = await c.json<{ manifests?: Descriptor[] }>('index.json');
  const images: ArchiveImage[] = [];
  for (const d of index.manifests ?? []) {
    const image: ArchiveImage = {
      name: d.annotations?.['io.containerd.image.name'] ?? d.annotations?.['org.opencontainers.image.ref.name'] ?? '',
      blobs: [],
      manifests: [],
    };
    await addManifest(c, d, image);
    images.push(image);
  }
  return images;
}

// --- docker-archive ---

interface DockerItem {
  Config: string;
  RepoTags: string[] | null;
  Layers: string[];
}

async function imageOfDocker(c: Contents, item: DockerItem, hash: HashPart): Promise<ArchiveImage> {
  const configBytes = await c.bytes(item.Config);
  const config = await c.json<{ rootfs?: { diff_ids?: string[] } }>(item.Config);
  const configEntry = c.need(item.Config);
  const diffIds = config.rootfs?.diff_ids ?? [];
  if (diffIds.length !== item.Layers.length) {
    throw new Problem('broken', item.Config);
  }
  const blobs: PlacedBlob[] = [{ digest: await digestOf(configBytes), size: configEntry.size, offset: configEntry.offset }];
  const layers: Descriptor[] = [];
  for (const [i, name] of item.Layers.entries()) {
    const { offset, size } = c.need(name);
    const [a, b] = await bytesOf(c.source, offset, 2);
    const isCompressed = a === 0x1f && b === 0x8b;
    // A layer that is a plain tar has been hashed already: its digest is its diff_id.
    const digest = isCompressed ? await hash(offset, size) : (diffIds[i] ?? '');
    layers.push({ mediaType: isCompressed ? `${OCI.layer}+gzip` : OCI.layer, digest, size });
    blobs.push({ digest, size, offset });
  }
  const body = encode({
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: { mediaType: OCI.config, digest: blobs[0]?.digest, size: configBytes.length },
    layers,
  });
  const manifest = { digest: await digestOf(body), mediaType: OCI.manifest, body };
  return { name: item.RepoTags?.[0] ?? '', blobs, manifests: [manifest] };
}

// --- both ---

export async function readArchive(source: Source, hash: HashPart, onOffset?: (offset: number) => void): Promise<ArchiveImage[]> {
  const c = new Contents(source, await readTar(source, onOffset));
  let images: ArchiveImage[] = [];
  if (c.entries.has('oci-layout') && c.entries.has('index.json')) {
    images = await imagesOfLayout(c);
  } else if (c.entries.has('manifest.json')) {
    for (const item of await c.json<DockerItem[]>('manifest.json')) {
      images.push(await imageOfDocker(c, item, hash));
    }
  }
  if (images.length === 0) {
    throw new Problem('no_image');
  }
  return images;
}

/** The blobs of an image, each once, in the order in which they lie in the archive. */
export function blobsInOrder(image: ArchiveImage): PlacedBlob[] {
  const once = new Map(image.blobs.map((b) => [b.digest, b]));
  return [...once.values()].sort((a, b) => a.offset - b.offset);
}

export const isIndex = (mediaType: string) => mediaType === OCI.index || mediaType === DOCKER_LIST;

/** "docker.io/library/busybox:1.36" -> what it could be called here. */
export function nameHere(name: string, file: string): { repository: string; tag: string } {
  const bare = name.split('@')[0] ?? '';
  const hasPath = bare.includes('/') || bare.includes(':');
  const last = bare.slice(bare.lastIndexOf('/') + 1);
  const [repository = '', tag = 'latest'] = last.split(':');
  // An OCI layout often has the tag alone for a name.
  const fromFile = file.replace(/\.(tar|tgz|gz)(\.gz)?$/i, '');
  const clean = (s: string) => s.toLowerCase().replace(/[^a-z0-9._-]+/g, '-').replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '');
  return hasPath || !bare
    ? { repository: clean(repository) || clean(fromFile), tag }
    : { repository: clean(fromFile), tag: bare };
}
