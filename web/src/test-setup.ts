// What browsers have and Node 18 keeps in modules.
import { File as NodeFile } from 'node:buffer';
import { webcrypto } from 'node:crypto';

Object.assign(globalThis, {
  File: globalThis.File ?? NodeFile,
  ...(globalThis.crypto ? {} : { crypto: webcrypto }),
});
