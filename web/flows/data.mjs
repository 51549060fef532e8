// What people do with data, in a browser.
import Axe from '@axe-core/playwright';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PASSWORD = 'a-good-password-1';
const some = (prefix) => `${prefix}${randomBytes(4).toString('hex')}`;
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

async function project(api) {
  const name = some('data');
  await api('POST', '/api/v1/projects', { name });
  return name;
}

async function volume(api) {
  const p = await project(api);
  const v = some('v');
  await api('POST', `/api/v1/projects/${p}/volumes`, { name: v });
  return { p, v, at: `/ui/p/${p}/data/${v}`, files: `/api/v1/projects/${p}/volumes/${v}/files` };
}

async function member(api, p, role) {
  const user = some('u');
  await api('POST', '/api/v1/users', { name: user, password: PASSWORD });
  await api('PUT', `/api/v1/projects/${p}/members/${user}`, { role });
  return { user, password: PASSWORD };
}

/** A file as the page's session writes it. */
const put = (page, path, body) =>
  page.evaluate(
    async ({ path, body }) => {
      const me = await (await fetch('/api/v1/me')).json();
      return (await fetch(path, { method: 'PUT', headers: { 'X-CSRF-Token': me.csrf }, body })).status;
    },
    { path, body },
  );

const read = (page, path) => page.evaluate(async (path) => (await fetch(path, { cache: 'no-store' })).text(), path);
/** The SHA-256 of what the server gives back. */
const sumOf = (page, path) =>
  page.evaluate(async (path) => {
    const sum = await crypto.subtle.digest('SHA-256', await (await fetch(path, { cache: 'no-store' })).arrayBuffer());
    return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, '0')).join('');
  }, path);
const row = (page, name) => page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });

async function menu(page, name, item) {
  await page.getByRole('button', { name: `Actions for ${name}`, exact: true }).click();
  await page.getByRole('menuitem', { name: item, exact: true }).click();
}

async function accessible(page, what) {
  await page.waitForTimeout(400); // colours that fade in are none yet
  const { violations } = await new Axe({ page }).analyze();
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes[0]?.target}`), [], what);
}

const choose = (page, kind, files) => page.locator(`input[data-upload=${kind}]`).setInputFiles(files);
const file = (name, data) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(data) });
const panel = (page) => page.getByRole('region', { name: 'Uploads' });

/** Requests for files fail until the returned function is called. */
async function cut(page, answer) {
  const pattern = '**/files/**';
  await page.route(pattern, answer);
  return () => page.unroute(pattern);
}

export const flows = {
  'a volume is made, opened, listed and deleted': async ({ page, url, api }) => {
    const p = await project(api);
    await page.goto(`${url}/ui/p/${p}/data`);
    await page.getByText('No volume yet').waitFor();
    await accessible(page, 'no volumes');
    await page.getByRole('button', { name: 'New volume' }).click();
    await page.getByLabel('Name of the volume').fill('digits');
    await page.keyboard.press('Enter');
    await page.getByText('This folder is empty').waitFor();
    assert.match(page.url(), new RegExp(`/p/${p}/data/digits$`));
    await page.getByRole('navigation', { name: 'Main navigation' }).getByText('Data').click();
    await page.getByRole('link', { name: 'digits' }).waitFor();
    await accessible(page, 'volumes');
    await page.getByRole('button', { name: 'Delete volume digits' }).click();
    await page.getByText(/0 files .* are deleted for good/).waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('No volume yet').waitFor();
  },

  'a volume that a job uses is not deleted, and the job is named': async ({ page, url, api }) => {
    const { p, v } = await volume(api);
    const job = { id: 'j-abcdefgh', name: 'train', state: 'running', project: p, spec: { volumes: [{ name: v, path: '/data' }] } };
    await page.route(`**/projects/${p}/jobs?*`, (r) => r.fulfill({ json: { items: [job], next: null } }));
    await page.route(`**/projects/${p}/jobs/j-abcdefgh`, (r) => r.fulfill({ json: job }));
    await page.route(`**/volumes/${v}`, (r) =>
      r.request().method() === 'DELETE'
        ? r.fulfill({ status: 409, json: { error: { kind: 'conflict', message: 'volume is used by a job', request_id: 'r1' } } })
        : r.fallback(),
    );
    await page.goto(`${url}/ui/p/${p}/data`);
    await page.getByRole('button', { name: `Delete volume ${v}` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('link', { name: 'train' }).waitFor();
    await page.getByText('volume is used by a job').waitFor();
  },

  'names of all kinds are shown as text and can be used': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    const names = ['a\nb.txt', 'photo\u202egnp.exe', '-rf', '<img src=x onerror=document.title=1>.txt', "it's 100% #?&.txt", '圖.txt'];
    for (const name of names) {
      assert.equal(await put(page, `${files}/${encodeURIComponent(name)}`, name), 201);
    }
    assert.equal(await put(page, `${files}/%FFdir/%FE.txt`, 'inside'), 201);
    await page.goto(url + at);
    for (const shown of ['a⟨U+000A⟩b.txt', 'photo⟨U+202E⟩gnp.exe', '-rf', '<img src=x onerror=document.title=1>.txt', '圖.txt']) {
      await page.getByText(shown, { exact: true }).waitFor();
    }
    await page.getByRole('link', { name: "it's 100% #?&.txt" }).click();
    await page.getByRole('region', { name: /^Contents of/ }).getByText("it's 100% #?&.txt").waitFor();
    await page.reload(); // the address says it all
    await page.getByRole('region', { name: /^Contents of/ }).getByText("it's 100% #?&.txt").waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('link', { name: '\\xFFdir' }).click();
    await page.getByRole('link', { name: '\\xFE.txt' }).click();
    await page.getByText('inside').waitFor();
    await page.getByRole('button', { name: 'Close' }).click();
    await menu(page, '\\xFE.txt', 'Rename or move…');
    await page.getByLabel('New name').fill('plain.txt');
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('link', { name: 'plain.txt' }).waitFor();
    assert.equal(await read(page, `${files}/%FFdir/plain.txt`), 'inside');
  },

  'folders are made, things are moved and deleted': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    for (const name of ['one', 'two', 'three', 'taken']) {
      await put(page, `${files}/${name}`, name);
    }
    await page.goto(url + at);
    await page.getByRole('button', { name: 'New folder' }).click();
    await page.getByLabel('Name of the folder').fill('sub/deep');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'sub' }).waitFor();
    await menu(page, 'one', 'Rename or move…');
    await page.getByLabel('In the folder').fill('sub/deep');
    await page.getByLabel('New name').fill('uno');
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('link', { name: 'one', exact: true }).waitFor({ state: 'detached' });
    assert.equal(await read(page, `${files}/sub/deep/uno`), 'one');
    await menu(page, 'two', 'Rename or move…');
    await page.getByLabel('New name').fill('taken');
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByLabel('Replace what has this name there').check();
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    assert.equal(await read(page, `${files}/taken`), 'two');
    await page.getByLabel('Select sub').check();
    await page.getByLabel('Select three').check();
    await page.getByText('2 selected').waitFor();
    await page.locator('.browser').getByRole('button', { name: /Delete$/ }).click();
    await page.getByText('1 files and 1 folders with everything in them are deleted for good.').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await row(page, 'sub').waitFor({ state: 'detached' });
    await row(page, 'three').waitFor({ state: 'detached' });
    await row(page, 'taken').waitFor();
    await page.goto(`${url}${at}/nowhere`);
    await page.getByText('There is no such folder').waitFor();
    await page.goto(`${url}${at}/taken`);
    await page.getByRole('button', { name: 'Show the file' }).click();
    await page.getByRole('region', { name: /^Contents of/ }).getByText('two').waitFor();
  },

  'a folder of 100,000 entries is scrolled, and begun anywhere': async ({ page, url, api }) => {
    const { at } = await volume(api);
    const all = 100_000;
    const cursorOf = (n) => Buffer.from(String(n)).toString('base64url');
    await page.route('**/tree/many?*', (r) => {
      const after = new URL(r.request().url()).searchParams.get('after');
      const text = after ? Buffer.from(after, 'base64url').toString('latin1') : '';
      const first = text.startsWith('f') ? 50_000 : Number(text);
      const end = Math.min(all, first + 500);
      const items = Array.from({ length: end - first }, (_, i) => ({
        name: `f${String(first + i).padStart(6, '0')}`, type: 'file', size_bytes: i, modified_at: '2026-01-01T00:00:00Z', mode: '0664' }));
      return r.fulfill({ json: { items, next: end < all ? cursorOf(end) : null } });
    });
    await page.goto(`${url}${at}/many`);
    await page.getByText('f000000', { exact: true }).waitFor();
    const table = page.getByRole('table');
    for (let n = 0; n < 10; n++) {
      await table.evaluate((el) => el.scrollTo(0, el.scrollHeight));
      await page.waitForTimeout(60);
    }
    await page.getByText(/loaded, there are more/).waitFor();
    assert.ok((await page.getByRole('row').count()) < 80, 'only rows in sight exist');
    await page.getByLabel('Show names from here on').fill('f050000');
    await page.keyboard.press('Enter');
    await page.getByText('f050000', { exact: true }).waitFor();
    assert.match(page.url(), /from=f050000/);
    await accessible(page, 'a long folder');
  },

  'files and folders are uploaded, and what is there is asked about once': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    await page.goto(url + at);
    const big = randomBytes(20 * 1024 * 1024);
    await choose(page, 'files', [file('a.txt', 'first'), file('b.txt', ''), file('big.bin', big)]);
    await panel(page).getByText('3 uploaded').waitFor();
    await panel(page).getByText(`SHA-256 ${sha256(big).slice(0, 16)}…`).waitFor();
    await row(page, 'big.bin').waitFor();
    await accessible(page, 'uploads');
    const dir = mkdtempSync(join(tmpdir(), 'strata-'));
    try {
      mkdirSync(join(dir, 'set/inner'), { recursive: true });
      writeFileSync(join(dir, 'set/inner/x.txt'), 'x');
      writeFileSync(join(dir, 'set/y.txt'), 'y');
      await choose(page, 'folder', join(dir, 'set'));
      await row(page, 'set').waitFor();
      assert.equal(await read(page, `${files}/set/inner/x.txt`), 'x');
    } finally {
      rmSync(dir, { recursive: true });
    }
    await choose(page, 'files', [file('a.txt', 'second'), file('c.txt', 'new')]);
    await page.getByText('1 of 2 files have a name that is taken there.').waitFor();
    await page.getByRole('button', { name: 'Skip those' }).click();
    await row(page, 'c.txt').waitFor();
    assert.equal(await read(page, `${files}/a.txt`), 'first');
    await choose(page, 'files', [file('a.txt', 'third')]);
    await page.getByRole('button', { name: 'Overwrite' }).click();
    await panel(page).getByText('7 uploaded').waitFor();
    assert.equal(await read(page, `${files}/a.txt`), 'third');
  },

  'files are dropped on the folder': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    await page.goto(url + at);
    await page.getByText('This folder is empty').waitFor();
    const drop = await page.evaluateHandle(() => {
      const d = new DataTransfer();
      d.items.add(new File(['dropped'], 'dropped.txt'));
      return d;
    });
    await page.dispatchEvent('.browser', 'dragenter', { dataTransfer: drop });
    await page.getByText('Drop to upload into').waitFor();
    await page.dispatchEvent('.browser', 'drop', { dataTransfer: drop });
    await row(page, 'dropped.txt').waitFor();
    assert.equal(await read(page, `${files}/dropped.txt`), 'dropped');
  },

  'an upload goes on after the server was away, on another page': async ({ page, url, api }) => {
    const { p, at, files } = await volume(api);
    await page.goto(url + at);
    const data = randomBytes(24 * 1024 * 1024);
    let parts = 0;
    const back = await cut(page, (r) => (r.request().method() === 'PUT' && ++parts > 1 ? r.abort('connectionreset') : parts > 1 ? r.abort('connectionrefused') : r.fallback()));
    await choose(page, 'files', [file('long.bin', data)]);
    await panel(page).getByText(/The server is away/).first().waitFor();
    await page.getByRole('link', { name: 'Data', exact: true }).first().click(); // leaves the page
    await page.waitForURL(`**/p/${p}/data`);
    await accessible(page, 'an upload that waits');
    await back();
    await panel(page).getByText('1 uploaded').waitFor();
    await panel(page).getByText(`SHA-256 ${sha256(data).slice(0, 16)}…`).waitFor();
    await panel(page).getByRole('link', { name: 'long.bin' }).click();
    await row(page, 'long.bin').waitFor();
    assert.equal(await sumOf(page, `${files}/long.bin`), sha256(data));
  },

  'an upload goes on after the session has ended': async ({ page, url, api, admin }) => {
    const { at } = await volume(api);
    await page.goto(url + at);
    await page.getByText('This folder is empty').waitFor();
    const data = randomBytes(12 * 1024 * 1024);
    const back = await cut(page, (r) => r.abort('connectionrefused'));
    await choose(page, 'files', [file('long.bin', data)]);
    // Asking what is there failed: nothing was begun.
    await page.getByText('The server cannot be reached.').first().waitFor();
    await back();
    let isFirst = true;
    const again = await cut(page, async (r) => {
      if (r.request().method() === 'PUT' && isFirst) {
        isFirst = false;
        await r.fallback();
        await page.context().clearCookies();
        return undefined;
      }
      return r.fallback();
    });
    await choose(page, 'files', [file('long.bin', data)]);
    await page.getByText('Your session has ended').waitFor();
    await panel(page).getByText(/Sign in again/).first().waitFor();
    await page.locator('input[type=password]').fill(admin.password);
    await page.keyboard.press('Enter');
    await panel(page).getByText(`SHA-256 ${sha256(data).slice(0, 16)}…`).waitFor();
    await again();
  },

  'uploads are paused, go on, are cancelled, and tried again': async ({ page, url, api }) => {
    const { at } = await volume(api);
    await page.goto(url + at);
    const held = [];
    const back = await cut(page, (r) => (r.request().method() === 'PUT' ? held.push(r) : r.fallback()));
    await choose(page, 'files', [file('one', '1'), file('two', '2')]);
    await panel(page).getByRole('button', { name: 'Pause one' }).click();
    await panel(page).getByText(/^paused/).waitFor();
    await panel(page).getByRole('button', { name: 'Cancel two' }).click();
    await panel(page).getByText(/^cancelled/).waitFor();
    await back();
    await Promise.all(held.map((r) => r.abort().catch(() => undefined)));
    await panel(page).getByRole('button', { name: 'Go on with one' }).click();
    await panel(page).getByText('1 uploaded').waitFor();
    await panel(page).getByRole('button', { name: 'Try two again' }).click();
    await panel(page).getByText('2 uploaded').waitFor();
    await panel(page).getByRole('button', { name: 'Close' }).click();
    await panel(page).waitFor({ state: 'detached' });
  },

  'files are shown as what they are, and never run': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
    const script = '<svg xmlns="http://www.w3.org/2000/svg"><script>document.title="ran"</script></svg>';
    await put(page, `${files}/t.csv`, 'name,loss\n"a, b",0.5\nc,12\n');
    await put(page, `${files}/t.json`, '{"model":{"layers":[1,2]},"big":12345678901234567890}');
    await put(page, `${files}/t.svg`, script);
    await put(page, `${files}/t.txt`, 'x'.repeat(500_000) + '\n');
    await put(page, `${files}/empty`, '');
    await page.evaluate(
      async ({ path, png }) => {
        const me = await (await fetch('/api/v1/me')).json();
        for (const [name, body] of [['t.png', Uint8Array.from(atob(png), (c) => c.charCodeAt(0))], ['t.bin', new Uint8Array([0, 1, 2, 65])]]) {
          await fetch(`${path}/${name}`, { method: 'PUT', headers: { 'X-CSRF-Token': me.csrf }, body });
        }
      },
      { path: files, png },
    );
    const open = (name, as = '') => page.goto(`${url}${at}?preview=${name}${as}`);
    const contents = page.getByRole('region', { name: /^Contents of/ });
    await open('t.csv');
    await page.getByRole('columnheader', { name: 'loss' }).waitFor();
    await page.getByRole('cell', { name: 'a, b' }).waitFor();
    await accessible(page, 'CSV');
    await page.getByText('Bytes', { exact: true }).click();
    await contents.getByText(/6e 61 6d 65/).waitFor();
    assert.match(page.url(), /as=hex/);
    await open('t.json');
    await contents.getByText('12345678901234567890').waitFor();
    await page.getByRole('button', { name: 'layers: [2]' }).click();
    await contents.getByText('0: ').waitFor();
    await accessible(page, 'JSON');
    await open('t.svg');
    await contents.getByText(script).waitFor();
    assert.equal(await page.locator('.preview svg script').count(), 0);
    assert.notEqual(await page.title(), 'ran');
    await open('t.png');
    await page.getByText('1 × 1 pixels').waitFor();
    assert.match(await page.getByRole('img', { name: 't.png' }).getAttribute('src'), /^blob:/);
    await open('t.bin');
    await contents.getByText('00000000  00 01 02 41').waitFor();
    await open('t.txt');
    await page.getByText('The first 256 KiB of 488 KiB.').waitFor();
    await open('empty');
    await page.getByText('The file is empty.').waitFor();
    await open('nothing');
    await page.getByText('There is no such file').waitFor();
  },

  'a file is deleted with the keyboard alone': async ({ page, url, api }) => {
    const { at, files } = await volume(api);
    await put(page, `${files}/a.txt`, 'text');
    await page.goto(url + at);
    await page.getByRole('checkbox', { name: 'Select a.txt' }).focus();
    const focused = (text) => page.waitForFunction((text) => document.activeElement?.textContent === text, text);
    await page.keyboard.press('Tab');
    await focused('a.txt');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await focused('Preview');
    await page.keyboard.press('ArrowUp'); // from the first to the last
    await focused('Delete');
    await page.keyboard.press('Enter');
    await focused('Cancel');
    await page.keyboard.press('Tab');
    await focused('Delete');
    await page.keyboard.press('Enter');
    await page.getByText('This folder is empty').waitFor();
  },

  'a guest may look and download, and change nothing': async ({ page, url, api, newPage }) => {
    const { p, v, at, files } = await volume(api);
    await put(page, `${files}/a.txt`, 'text');
    const guest = await newPage(await member(api, p, 'guest'));
    await guest.goto(url + at);
    await row(guest, 'a.txt').waitFor();
    for (const name of ['Upload', 'New folder']) {
      assert.equal(await guest.getByRole('button', { name }).count(), 0, name);
    }
    assert.equal(await guest.getByRole('checkbox').count(), 0);
    await guest.getByRole('button', { name: 'Actions for a.txt' }).click();
    await guest.getByRole('menuitem', { name: 'Download' }).waitFor();
    assert.equal(await guest.getByRole('menuitem', { name: 'Delete' }).count(), 0);
    const [download] = await Promise.all([guest.waitForEvent('download'), guest.getByRole('menuitem', { name: 'Download' }).getByRole('link').click()]);
    assert.equal(download.suggestedFilename(), 'a.txt');
    await guest.goto(`${url}/ui/p/${p}/data`);
    await guest.getByRole('link', { name: v }).waitFor();
    assert.equal(await guest.getByRole('button', { name: 'New volume' }).count(), 0);
  },

  'narrow, dark and in Chinese it is usable': async ({ page, url, api, newPage }) => {
    const { p, at, files } = await volume(api);
    await put(page, `${files}/a.csv`, 'a,b\n1,2\n');
    for (const options of [{ width: 400, dark: true, locale: 'zh-TW' }, { width: 400, locale: 'zh-CN' }, { dark: true }]) {
      const other = await newPage({ ...options, ...(await member(api, p, 'developer')) });
      for (const address of [`/ui/p/${p}/data`, at, `${at}?preview=a.csv`]) {
        await other.goto(url + address);
        await other.getByText(address.includes('preview') ? '#' : /a\.csv|^v[0-9a-f]{8}$/, { exact: address.includes('preview') }).first().waitFor();
        assert.ok(await other.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${address} is too wide`);
        await accessible(other, `${address} ${JSON.stringify(options)}`);
      }
    }
  },
};
