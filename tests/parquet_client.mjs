// parquet-wasm (npm, a package of web/: arrow-rs as WebAssembly) as the other side of our Parquet files.
//
// A request a line on standard input, an answer a line on standard output (null, or {"error"}):
//   ["read", FILE]            {"fields": [[name, type]], "rows": [[value]]}
//   ["write", FILE, JSON?]    3,000 rows; {compression, version, dictionary, encodings: {column: name}, groupRows, pageBytes, nested}
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const load = createRequire(new URL('../web/package.json', import.meta.url));
const arrow = load('apache-arrow');
const parquet = load('parquet-wasm');

function read(file) {
  const t = arrow.tableFromIPC(parquet.readParquet(readFileSync(file)).intoIPCStream());
  const plain = (v) => (typeof v === 'bigint' ? String(v) : v);
  return {
    fields: t.schema.fields.map((f) => [f.name, String(f.type)]),
    rows: t.toArray().map((r) => t.schema.fields.map((f) => plain(r[f.name]))),
  };
}

// 128 bits of a whole number.
function decimal(n) {
  const v = BigInt.asUintN(128, BigInt(n));
  return Uint32Array.from([0n, 32n, 64n, 96n], (shift) => Number((v >> shift) & 0xffffffffn));
}

// test_b52_parquet.py says the same in Python.
const columns = {
  i: [new arrow.Int32(), (i) => i * 7 - 1000],
  l: [new arrow.Int64(), (i) => BigInt(i) * 1000003n - 5000000n],
  u: [new arrow.Uint16(), (i) => i * 20],
  wide: [new arrow.Int64(), (i) => (i < 2990 ? BigInt(i) : 9007199254740993n)],
  f: [new arrow.Float32(), (i) => i * 0.25],
  d: [new arrow.Float64(), (i) => i / 8],
  b: [new arrow.Bool(), (i) => i % 3 === 0],
  word: [new arrow.Utf8(), (i) => `word ${i % 100}`],
  long: [new arrow.Utf8(), (i) => `https://example.org/${Math.floor(i / 10)}/${i}`],
  day: [new arrow.DateDay(), (i) => new Date((i - 1000) * 86400000)],
  ms: [new arrow.TimestampMillisecond(), (i) => new Date(1.7e12 + i * 1001)],
  us: [new arrow.TimestampMicrosecond('UTC'), (i) => new Date(1.7e12 + i * 1000)],
  dec9: [new arrow.Decimal(2, 9), (i) => decimal(i * 101 - 150000)],
  dec18: [new arrow.Decimal(3, 18), (i) => decimal(i * 1000001 - 1500000000)],
  dec38: [new arrow.Decimal(10, 38), (i) => decimal(i * 1000000007 - 1500000000000)],
  all: [new arrow.Int32(), (i) => i, 'no nulls'],
};

function write(words) {
  const o = { compression: 'SNAPPY', version: 1, dictionary: true, encodings: {}, ...JSON.parse(words || '{}') };
  const all = { ...columns };
  if (o.nested) {
    all.tags = [new arrow.List(new arrow.Field('item', new arrow.Int32())), (i) => [i, 1]];
    all.place = [new arrow.Struct([new arrow.Field('x', new arrow.Int32())]), (i) => ({ x: i })];
    all.last = [new arrow.Int32(), (i) => i];
  }
  const rows = Array.from({ length: 3000 }, (_, i) => i);
  const table = new arrow.Table(Object.fromEntries(Object.entries(all).map(([name, [type, of, whole]]) =>
    [name, arrow.vectorFromArray(rows.map((i) => (!whole && i % 7 === 6 ? null : of(i))), type)])));
  let p = new parquet.WriterPropertiesBuilder()
    .setCompression(parquet.Compression[o.compression])
    .setWriterVersion(o.version === 2 ? parquet.WriterVersion.V2 : parquet.WriterVersion.V1)
    .setDictionaryEnabled(o.dictionary)
    .setMaxRowGroupSize(o.groupRows ?? 1000)
    .setDataPageSizeLimit(o.pageBytes ?? 1500)
    .setWriteBatchSize(64);
  for (const [column, encoding] of Object.entries(o.encodings)) {
    p = p.setColumnEncoding(column, parquet.Encoding[encoding]);
  }
  return parquet.writeParquet(parquet.Table.fromIPCStream(arrow.tableToIPC(table, 'stream')), p.build());
}

for await (const line of createInterface({ input: process.stdin })) {
  const [verb, file, words] = JSON.parse(line);
  try {
    console.log(JSON.stringify(verb === 'read' ? read(file) : writeFileSync(file, write(words)) ?? null));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e.stack ?? e) }));
  }
}
