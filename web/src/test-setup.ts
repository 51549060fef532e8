// What browsers have, and Node 18 keeps in modules or lacks.
import { File as NodeFile } from 'node:buffer';
import { webcrypto } from 'node:crypto';

Object.assign(globalThis, {
  matchMedia: () => ({ matches: false, addEventListener: () => undefined }),
  File: globalThis.File ?? NodeFile,
  ...(globalThis.crypto ? {} : { crypto: webcrypto }),
});
