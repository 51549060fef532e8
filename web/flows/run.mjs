// Runs flows of the console in a real browser against a running server.
//
//   node web/flows/run.mjs --list                     [["frame","the first page asks to sign in"], ...]
//   STRATA_URL=… STRATA_PASSWORD=… [STRATA_SHOTS=dir] node web/flows/run.mjs AREA NAME
//
// A file flows/<area>.mjs exports `flows`: { 'a sentence': async (t) => { … } }. `t` has
//   page                        signed in as admin, English, 1280 x 860
//   newPage({user, password, locale, width, dark})    another browser: another user, language or size
//   url, admin: {user, password}, api(method, path, body)    as admin; throws when refused
//   shot(page, name)            a picture of the page, kept where STRATA_SHOTS says
//   accessible(page)            axe-core finds nothing
// A flow fails when it throws, and when a page logs an error or breaks the Content-Security-Policy.
import { AxeBuilder } from '@axe-core/playwright';
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const HERE = path.dirname(new URL(import.meta.url).pathname);
// Chromium asks its maker's hosts for all kinds of things; tests stay on this machine.
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];

async function load(area) {
  return (await import(path.join(HERE, `${area}.mjs`))).flows;
}

async function list() {
  const all = [];
  for (const file of readdirSync(HERE).filter((f) => f.endsWith('.mjs') && f !== 'run.mjs').sort()) {
    const area = file.slice(0, -'.mjs'.length);
    all.push(...Object.keys(await load(area)).map((name) => [area, name]));
  }
  return all;
}

// What a flow may expect: answers of the API that it provokes.
const EXPECTED = /Failed to load resource: the server responded with a status of 4\d\d|net::ERR_/;

class Browser {
  constructor(browser, url, admin) {
    Object.assign(this, { browser, url, admin, problems: [] });
  }

  watch(page) {
    page.on('pageerror', (e) => this.problems.push(`page error: ${e.stack ?? e.message}`));
    page.on('console', (m) => {
      if (m.type() === 'error' && !EXPECTED.test(m.text())) {
        this.problems.push(`console: ${m.text()}`);
      }
    });
  }

  async newPage({ user = this.admin.user, password = this.admin.password, locale = 'en-US', width = 1280, height = 860,
    dark = false, signIn = true } = {}) {
    const context = await this.browser.newContext({ viewport: { width, height }, locale, colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce', acceptDownloads: true });
    context.setDefaultTimeout(60_000); // a busy machine is no failure
    const page = await context.newPage();
    this.watch(page);
    await page.goto(`${this.url}/ui/`);
    if (signIn) {
      await page.locator('input[autocomplete=username]').fill(user);
      await page.locator('input[autocomplete=current-password]').fill(password);
      await page.keyboard.press('Enter');
      await page.locator('.frame').waitFor();
    }
    return page;
  }
}

async function apiOf(url, admin) {
  const basic = Buffer.from(`${admin.user}:${admin.password}`).toString('base64');
  return async (method, where, body) => {
    const isText = typeof body === 'string' || body instanceof Uint8Array;
    const r = await fetch(url + where, {
      method,
      headers: { Authorization: `Basic ${basic}`, ...(body && !isText ? { 'Content-Type': 'application/json' } : {}) },
      body: body && !isText ? JSON.stringify(body) : body,
    });
    const text = await r.text();
    assert.ok(r.ok, `${method} ${where}: ${r.status} ${text}`);
    return text && r.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text;
  };
}

async function run(area, name) {
  const flow = (await load(area))[name];
  assert.ok(flow, `there is no flow "${name}" in ${area}`);
  const url = process.env.STRATA_URL;
  const admin = { user: 'admin', password: process.env.STRATA_PASSWORD };
  const shots = process.env.STRATA_SHOTS;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
  const b = new Browser(browser, url, admin);
  try {
    const shot = async (page, title) => {
      if (shots) {
        mkdirSync(shots, { recursive: true });
        await page.screenshot({ path: path.join(shots, `${area}-${title}.png`) });
      }
    };
    const accessible = async (page) => {
      const { violations } = await new AxeBuilder({ page }).analyze();
      const said = violations.map((v) => `${v.id}: ${v.help}\n${v.nodes.slice(0, 4).map((n) => `    ${n.html.slice(0, 200)}\n      ${n.failureSummary?.split('\n')[1] ?? ''}`).join('\n')}`);
      assert.equal(said.length, 0, `axe-core at ${page.url()}:\n${said.join('\n')}`);
    };
    const page = await b.newPage();
    await flow({ page, url, admin, shot, accessible, api: await apiOf(url, admin), newPage: (o) => b.newPage(o) });
    assert.deepEqual(b.problems, []);
  } finally {
    await browser.close();
  }
}

if (process.argv[2] === '--list') {
  console.log(JSON.stringify(await list()));
} else {
  await run(process.argv[2], process.argv[3]);
}
