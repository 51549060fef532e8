// apache-arrow (npm, a package of web/) as the other side of our tables.
//
// A request a line on standard input, an answer a line on standard output (null, or {"error"}):
//   ["read", FILE]                                             {"fields": [[name, type]], "rows": [[value]]}
//   ["write", FILE, file|stream|batches|zstd|lz4|list]         every type that it writes and we read
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const arrow = createRequire(new URL('../web/package.json', import.meta.url))('apache-arrow');
let pack; // of the file that is written

function read(file) {
  const t = arrow.tableFromIPC(readFileSync(file));
  const plain = (v) => (typeof v === 'bigint' ? String(v) : Number.isNaN(v) ? 'NaN' : v);
  return {
    fields: t.schema.fields.map((f) => [f.name, String(f.type)]),
    rows: t.toArray().map((r) => t.schema.fields.map((f) => plain(r[f.name]))),
  };
}

const when = new Date('2024-02-29T08:00:00.000Z');
const ends = { s: [when, null, new Date(-1000)], day: [when, null, new Date(-86400000)] };
const columns = {
  int8: [new arrow.Int8(), [-128, null, 127]],
  uint8: [new arrow.Uint8(), [0, null, 255]],
  int16: [new arrow.Int16(), [-32768, null, 32767]],
  uint16: [new arrow.Uint16(), [0, null, 65535]],
  int32: [new arrow.Int32(), [-2147483648, null, 2147483647]],
  uint32: [new arrow.Uint32(), [0, null, 4294967295]],
  int64: [new arrow.Int64(), [-9007199254740992n, null, 9007199254740992n]],
  wide: [new arrow.Int64(), [1n, null, -9007199254740993n]],
  uint64: [new arrow.Uint64(), [1n, null, 18446744073709551615n]],
  float16: [new arrow.Float16(), [-0.25, null, 65504]],
  float32: [new arrow.Float32(), [0.5, null, -1.5]],
  float64: [new arrow.Float64(), [0.1, null, -Infinity]],
  bool: [new arrow.Bool(), [true, null, false]],
  utf8: [new arrow.Utf8(), ['台北', null, '']],
  large: [new arrow.LargeUtf8(), ['台北', null, 'x']],
  codes: [new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8()), ['b', null, 'a']],
  day: [new arrow.DateDay(), ends.day],
  milliday: [new arrow.DateMillisecond(), [new Date('2024-02-29'), null, new Date(-86400000)]],
  millitime: [new arrow.DateMillisecond(), ends.s],
  s: [new arrow.TimestampSecond(), ends.s],
  ms: [new arrow.TimestampMillisecond(), ends.s],
  us: [new arrow.TimestampMicrosecond('Asia/Taipei'), ends.s],
  ns: [new arrow.TimestampNanosecond(), ends.s],
  clock: [new arrow.TimeSecond(), [3661, null, 0]],
  none: [new arrow.Null(), [null, null, null]],
};

// The format says: i64 length when unpacked, then the packed bytes. (The package itself writes the length when packed.)
class Packed extends arrow.RecordBatchFileWriter {
  _assembleRecordBatch(batch) {
    const compression = this._compression;
    this._compression = null;
    const made = super._assembleRecordBatch(batch);
    this._compression = compression;
    const Region = made.bufferRegions[0].constructor;
    let at = 0;
    const regions = [];
    const buffers = made.buffers.flatMap((buffer) => {
      const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
      const packed = bytes.length > 0 ? pack(bytes) : bytes;
      const out = new Uint8Array(bytes.length > 0 ? (8 + packed.length + 7) & ~7 : 0);
      if (bytes.length > 0) {
        new DataView(out.buffer).setBigInt64(0, BigInt(bytes.length), true);
        out.set(packed, 8);
      }
      regions.push(new Region(at, bytes.length > 0 ? 8 + packed.length : 0));
      at += out.length;
      return [out, new Uint8Array(0)]; // it writes them in pairs
    });
    return { ...made, byteLength: at, bufferRegions: regions, buffers };
  }
}

const packers = {
  zstd: (bytes) => execFileSync('zstd', ['-q', '-c'], { input: bytes, maxBuffer: 1 << 30 }),
  lz4: (bytes) => { // one block, stored
    const out = new Uint8Array(7 + 4 + bytes.length + 4);
    out.set([0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0]);
    new DataView(out.buffer).setUint32(7, 0x80000000 + bytes.length, true);
    out.set(bytes, 11);
    return out;
  },
};
function write(form) {
  const all = { ...columns };
  pack = packers[form];
  if (form === 'list') {
    all.tags = [new arrow.List(new arrow.Field('item', new arrow.Utf8())), [['a'], null, []]];
  }
  const of = (change) => new arrow.Table(Object.fromEntries(Object.entries(all).map(([name, [type, values]]) =>
    [name, arrow.vectorFromArray(change(values), type)])));
  const table = of((v) => v);
  if (pack) {
    const compressionType = arrow.CompressionType[form === 'zstd' ? 'ZSTD' : 'LZ4_FRAME'];
    arrow.compressionRegistry.set(compressionType, { encode: pack, decode: (bytes) => bytes });
    const writer = new Packed({ compressionType });
    writer.writeAll(of((values) => Array.from({ length: 3000 }, (_, i) => values[i % 3])));
    return writer.toUint8Array(true);
  }
  if (form === 'batches') { // the second has a dictionary of its own, the third none
    return arrow.tableToIPC(table.concat(of((v) => [...v].reverse())).concat(table), 'stream');
  }
  return arrow.tableToIPC(table, form === 'stream' ? 'stream' : 'file');
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, file, form] = JSON.parse(line);
  try {
    console.log(JSON.stringify(verb === 'read' ? read(file) : writeFileSync(file, write(form)) ?? null));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e.stack ?? e) }));
  }
}
