import { describe, expect, it } from 'vitest';
import { bytesOf, openSource } from './source';
import { follow, paxRecords, plainName, readTar } from './tar';
import { gzip, makeTar } from './testing';

const pax = (record: string) => `${new TextEncoder().encode(record).length + 4} ${record}\n`; // two digits of length, a space, a newline
const read = async (blob: Blob) => readTar(await openSource(blob));

describe('the tar reader', () => {
  it('finds files and where they lie', async () => {
    const source = await openSource(makeTar([{ name: 'dir/', type: '5' }, { name: './dir/a', data: 'hello' }, { name: 'b', data: 'x'.repeat(513) }]));
    const entries = await readTar(source);
    expect([...entries.keys()]).toEqual(['dir/a', 'b']);
    const a = entries.get('dir/a');
    expect(new TextDecoder().decode(await bytesOf(source, a?.offset ?? 0, a?.size ?? 0))).toBe('hello');
    expect(entries.get('b')?.size).toBe(513);
  });

  it('reads the long names of GNU and pax', async () => {
    const long = 'd/'.repeat(80) + 'end';
    const entries = await read(
      makeTar([
        { name: '././@LongLink', type: 'L', data: `${long}\0` },
        { name: 'short', data: '1' },
        { name: 'pax', type: 'x', data: pax('path=wörld/file') },
        { name: 'other', data: '2' },
        { name: 'plain', data: '3' },
      ]),
    );
    expect([...entries.keys()]).toEqual([long, 'wörld/file', 'plain']);
  });

  it('follows links, and not in circles', async () => {
    const entries = await read(
      makeTar([
        { name: 'layer.tar', data: 'L' },
        { name: 'x/layer.tar', type: '2', link: '../layer.tar' },
        { name: 'hard', type: '1', link: 'layer.tar' },
        { name: 'loop', type: '2', link: 'loop' },
      ]),
    );
    expect(follow(entries, 'x/layer.tar')?.name).toBe('layer.tar');
    expect(follow(entries, 'hard')?.name).toBe('layer.tar');
    expect(follow(entries, 'loop')).toBeNull();
    expect(follow(entries, 'none')).toBeNull();
  });

  it('reads the same from gzip, also backwards', async () => {
    const source = await openSource(await gzip(makeTar([{ name: 'a', data: 'first' }, { name: 'b', data: 'second' }])));
    const entries = await readTar(source);
    for (const [name, text] of [['b', 'second'], ['a', 'first']] as const) {
      const e = entries.get(name);
      expect(new TextDecoder().decode(await bytesOf(source, e?.offset ?? 0, e?.size ?? 0))).toBe(text);
    }
    source.close();
  });

  it('refuses what is no tar, and one that is broken later', async () => {
    await expect(read(new Blob(['no tar at all'.repeat(100)]))).rejects.toMatchObject({ kind: 'no_tar' });
    await expect(read(new Blob([]))).rejects.toMatchObject({ kind: 'no_tar' });
    const good = makeTar([{ name: 'a', data: 'x' }]);
    await expect(read(new Blob([good.slice(0, 1024), 'y'.repeat(512)]))).rejects.toMatchObject({ kind: 'broken' });
  });

  it('keeps names inside', () => {
    expect(plainName('../../etc/./passwd')).toBe('etc/passwd');
    expect(paxRecords(new TextEncoder().encode('nonsense')).size).toBe(0);
  });
});
