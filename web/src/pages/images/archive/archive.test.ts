import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { blobsInOrder, nameHere, OCI, readArchive, type Descriptor } from './archive';
import { Sha256 } from './sha256';
import { bytesOf, openSource } from './source';
import { gzip, makeTar, type Made } from './testing';

const digest = (s: string | Uint8Array) => `sha256:${createHash('sha256').update(s).digest('hex')}`;

async function open(tar: Blob) {
  const source = await openSource(tar);
  const hash = async (offset: number, size: number) => `sha256:${new Sha256().update(await bytesOf(source, offset, size)).hex()}`;
  return readArchive(source, hash);
}

const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digest('layer one'), digest('layer two')] } });

function dockerArchive(more: Made[] = []): Made[] {
  return [
    { name: 'one.tar', data: 'layer one' },
    { name: 'two/layer.tar', data: 'layer two' },
    { name: 'link/layer.tar', type: '2', link: '../one.tar' },
    { name: 'config.json', data: config },
    ...more,
    { name: 'manifest.json', data: JSON.stringify([{ Config: 'config.json', RepoTags: ['docker.io/library/busybox:1'], Layers: ['link/layer.tar', 'two/layer.tar'] }]) },
  ];
}

describe('docker-archive', () => {
  it('makes an OCI manifest; plain layers are known by their diff_id', async () => {
    for (const tar of [makeTar(dockerArchive()), await gzip(makeTar(dockerArchive()))]) {
      const [image] = await open(tar);
      const top = image?.manifests.at(-1);
      const m = JSON.parse(new TextDecoder().decode(top?.body)) as { config: Descriptor; layers: Descriptor[] };
      expect(m.config).toEqual({ mediaType: OCI.config, digest: digest(config), size: config.length });
      expect(m.layers).toEqual([
        { mediaType: OCI.layer, digest: digest('layer one'), size: 9 },
        { mediaType: OCI.layer, digest: digest('layer two'), size: 9 },
      ]);
      expect(top?.digest).toBe(digest(top?.body ?? ''));
      expect(image?.name).toBe('docker.io/library/busybox:1');
      expect(blobsInOrder(image!).map((b) => b.digest)).toEqual([digest('layer one'), digest('layer two'), digest(config)]);
    }
  });

  it('hashes layers that somebody has compressed', async () => {
    const packed = new Uint8Array(await (await gzip(new Blob(['layer one']))).arrayBuffer());
    const files = dockerArchive().map((f) => (f.name === 'one.tar' ? { ...f, data: packed } : f));
    const [image] = await open(makeTar(files));
    const m = JSON.parse(new TextDecoder().decode(image?.manifests[0]?.body)) as { layers: Descriptor[] };
    expect(m.layers[0]).toEqual({ mediaType: `${OCI.layer}+gzip`, digest: digest(packed), size: packed.length });
  });

  it('names what is missing', async () => {
    const files = dockerArchive().filter((f) => f.name !== 'two/layer.tar');
    await expect(open(makeTar(files))).rejects.toMatchObject({ kind: 'lacks', detail: 'two/layer.tar' });
    await expect(open(makeTar([{ name: 'readme', data: 'hi' }]))).rejects.toMatchObject({ kind: 'no_image' });
  });
});

// --- OCI layout ---

const blob = (data: string): Made => ({ name: `blobs/sha256/${digest(data).slice(7)}`, data });
const point = (mediaType: string, data: string, more = {}) => ({ mediaType, digest: digest(data), size: data.length, ...more });
const image = (arch: string) =>
  JSON.stringify({ schemaVersion: 2, mediaType: OCI.manifest, config: point(OCI.config, `{"architecture":"${arch}"}`), layers: [point(OCI.layer, 'layer one')] });
const layout = (top: object, ...blobs: string[]) =>
  makeTar([...blobs.map(blob), { name: 'oci-layout', data: '{}' }, { name: 'index.json', data: JSON.stringify({ schemaVersion: 2, manifests: [top] }) }]);

describe('OCI layout', () => {
  const amd = image('amd64');
  const arm = image('arm64');
  const both = JSON.stringify({ schemaVersion: 2, mediaType: OCI.index, manifests: [point(OCI.manifest, amd), point(OCI.manifest, arm)] });

  it('takes the image as it is', async () => {
    const tar = layout(point(OCI.manifest, amd, { annotations: { 'org.opencontainers.image.ref.name': 'v1' } }), amd, '{"architecture":"amd64"}', 'layer one');
    const [found] = await open(tar);
    expect(found?.manifests).toEqual([{ digest: digest(amd), mediaType: OCI.manifest, body: new TextEncoder().encode(amd) }]);
    expect(found?.name).toBe('v1');
  });

  it('pushes the images of an index before the index', async () => {
    const [found] = await open(layout(point(OCI.index, both), both, amd, arm, '{"architecture":"amd64"}', '{"architecture":"arm64"}', 'layer one'));
    expect(found?.manifests.map((m) => m.digest)).toEqual([digest(amd), digest(arm), digest(both)]);
    expect(blobsInOrder(found!)).toHaveLength(3);
  });

  it('takes the one platform that docker save has kept', async () => {
    const [found] = await open(layout(point(OCI.index, both), both, arm, '{"architecture":"arm64"}', 'layer one'));
    expect(found?.manifests.map((m) => m.digest)).toEqual([digest(arm)]);
  });
});

it('proposes names', () => {
  expect(nameHere('docker.io/library/busybox:1.36', 'x.tar')).toEqual({ repository: 'busybox', tag: '1.36' });
  expect(nameHere('host:5000/Team/App', 'x.tar')).toEqual({ repository: 'app', tag: 'latest' });
  expect(nameHere('v2', 'My Model.tar.gz')).toEqual({ repository: 'my-model', tag: 'v2' });
  expect(nameHere('', 'busybox.tar')).toEqual({ repository: 'busybox', tag: 'latest' });
});
