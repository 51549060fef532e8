import { expect, it } from 'vitest';
import { layerRows, tidyCommand } from './layers';

const layer = (size: number) => ({ mediaType: 'x', digest: `sha256:${size}`, size });

it('gives each step its layer, and steps without files none', () => {
  const rows = layerRows([layer(10), layer(5)], [{ created_by: 'ADD rootfs' }, { created_by: 'ENV A=b', empty_layer: true }, { created_by: 'RUN make' }]);
  expect(rows.map((r) => [r.command, r.layer?.size ?? null, r.before])).toEqual([['ADD rootfs', 10, 0], ['ENV A=b', null, 10], ['RUN make', 5, 10]]);
});

it('shows layers that have no history', () => {
  expect(layerRows([layer(1), layer(2)], [{ created_by: 'one' }]).map((r) => [r.command, r.layer?.size])).toEqual([['one', 1], ['', 2]]);
  expect(layerRows([layer(1)])).toHaveLength(1);
});

it('writes commands as in the Dockerfile', () => {
  expect(tidyCommand('/bin/sh -c #(nop)  CMD ["sh"]')).toBe('CMD ["sh"]');
  expect(tidyCommand('/bin/sh -c apt-get update')).toBe('RUN apt-get update');
  expect(tidyCommand('RUN /bin/sh -c make # buildkit')).toBe('RUN make');
  expect(tidyCommand('COPY / / # buildkit')).toBe('COPY / /');
});
