import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { curl } from './AsCode';
import { quote, quoteRaw } from './shell';

const said = (word: string) => execFileSync('bash', ['-c', `printf %s ${word}`]);

describe('words for a shell', () => {
  it('come out of bash as they went in', () => {
    for (const word of ['plain/a-b.c', 'two words', "it's $HOME `id`", 'a\nb', "tab\t'quote\\", '$(id)', '中文 名', 'x;rm', 'a\u202eb']) {
      expect(said(quote(word)).toString()).toBe(word);
    }
  });

  it('show what turns text around', () => {
    expect(quote('a\u202eb')).toBe("$'a\\xe2\\x80\\xaeb'");
  });

  it('may be any bytes', () => {
    expect([...said(quoteRaw("a%FFb%20'"))]).toEqual([0x61, 0xff, 0x62, 0x20, 0x27]);
    expect(said(quoteRaw('%E4%B8%AD')).toString()).toBe('中');
  });

  it('hand curl what a page sends', () => {
    const origin = 'http://here';
    const auth = '-H "Authorization: Bearer $STRATA_TOKEN"';
    expect(curl({ cli: '', url: '/a' }, origin)).toBe(`curl -sS ${auth} http://here/a`);
    expect(curl({ cli: '', url: '/a', method: 'PUT', body: { name: "it's" } }, origin)).toBe(
      String.raw`curl -sS -X PUT ${auth} -H 'Content-Type: application/json' -d '{"name":"it'\''s"}' http://here/a`,
    );
    expect(curl({ cli: '', url: '/a?b=c', method: 'POST', file: 'job.yaml', type: 'application/yaml' }, origin)).toBe(
      `curl -sS -X POST ${auth} -H 'Content-Type: application/yaml' --data-binary @job.yaml 'http://here/a?b=c'`,
    );
  });
});
