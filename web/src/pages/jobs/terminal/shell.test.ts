import { expect, test } from 'vitest';
import { CHANNEL, endOf, frame } from './shell';

test('a message is its channel and its bytes', () => {
  expect([...frame(CHANNEL.input, new Uint8Array([108, 115]))]).toEqual([0, 108, 115]);
  expect([...frame(CHANNEL.resize, new Uint8Array())]).toEqual([4]);
});

test('the end is an exit code, or a sentence', () => {
  expect(endOf('{"status":"Success"}')).toEqual({ kind: 'exit', code: 0 });
  expect(endOf('{"status":"Failure","message":"exit code 7","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}')).toEqual({
    kind: 'exit',
    code: 7,
  });
  expect(endOf('{"status":"Failure","reason":"Gone","message":"job j-1 has ended"}')).toEqual({ kind: 'told', message: 'job j-1 has ended' });
  expect(endOf('nonsense')).toEqual({ kind: 'cut' });
});
