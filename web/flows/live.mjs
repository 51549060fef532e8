// What one does, others see at once; and all goes on when the server is killed under the browser.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

const PASSWORD = 'correct horse battery';
const some = (prefix) => `${prefix}-${randomBytes(4).toString('hex')}`;

async function member(api, project, role) {
  const user = some('live');
  await api('POST', '/api/v1/users', { name: user, password: PASSWORD });
  if (role) {
    await api('PUT', `/api/v1/projects/${project}/members/${user}`, { role });
  }
  return { user, password: PASSWORD };
}

async function project(api) {
  const name = some('live');
  await api('POST', '/api/v1/projects', { name });
  return name;
}

const isLive = (page) => page.getByRole('status', { name: 'Live' }).waitFor();

/** SIGKILL to the server; its supervisor starts another one. */
function killServer() {
  for (const pid of readdirSync('/proc').filter((p) => /^\d+$/.test(p))) {
    let stat;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      continue; // ended meanwhile
    }
    const [, name, rest] = /\((.*)\) (.*)/s.exec(stat);
    if (name === 'strata-server' && rest.split(' ')[1] === process.env.STRATA_PID) {
      return process.kill(Number(pid), 'SIGKILL');
    }
  }
  throw new Error('the server does not run');
}

/** A page that notices that its server is gone, and comes back without being loaded again. */
async function survives(page, meanwhile) {
  await isLive(page);
  await page.evaluate(() => (window.isTheSamePage = true));
  killServer();
  await page.getByRole('alert').filter({ hasText: 'Not live' }).waitFor();
  await meanwhile?.();
  await page.getByRole('alert').filter({ hasText: 'Not live' }).waitFor({ state: 'detached' });
  await isLive(page);
  assert.ok(await page.evaluate(() => window.isTheSamePage), 'nothing was loaded anew');
}

/** As the server starts, it does not answer yet. */
async function untilReady(url) {
  for (let i = 0; i < 300; i++) {
    if (await fetch(`${url}/readyz`).then((r) => r.ok, () => false)) {
      return;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('the server does not come back');
}

export const flows = {
  'another role changes menus and buttons at once, and a member who is removed sees the project vanish': async ({ page, newPage, api, url, shot }) => {
    const p = await project(api);
    const who = await member(api, p, 'guest');
    const other = await newPage(who);
    await other.goto(`${url}/ui/p/${p}/jobs`);
    await isLive(other);
    await other.getByRole('heading', { name: 'Jobs' }).waitFor();
    assert.equal(await other.getByRole('link', { name: 'Submit a job' }).count(), 0);

    await page.goto(`${url}/ui/p/${p}/settings`);
    const choose = async (role) => {
      await page.getByRole('combobox', { name: `Role of ${who.user}` }).click();
      await page.locator('.ant-select-item-option').filter({ hasText: role }).click();
    };
    await choose('developer');
    await other.getByRole('link', { name: 'Submit a job' }).first().waitFor();
    await choose('guest');
    await other.getByRole('link', { name: 'Submit a job' }).first().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: `Remove ${who.user} from the project` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await other.getByText(`There is no project “${p}”`).waitFor();
    await shot(other, 'project-gone');
    await api('PUT', `/api/v1/projects/${p}/members/${who.user}`, { role: 'developer' });
    await other.getByRole('link', { name: 'Submit a job' }).first().waitFor();
  },

  'who becomes administrator sees the menu, who is disabled or deleted is signed out': async ({ page, newPage, api, url }) => {
    const who = await member(api, null, null);
    const other = await newPage(who);
    await isLive(other);
    await page.goto(`${url}/ui/admin/users?q=${who.user}`);
    const menu = async (item, button) => {
      await page.getByRole('button', { name: `Actions for ${who.user}` }).click();
      await page.getByRole('menuitem', { name: item }).click();
      if (button) {
        await page.getByRole('dialog').getByRole('button', { name: button }).click();
      }
    };
    await api('PATCH', `/api/v1/users/${who.user}`, { is_admin: true });
    await other.getByRole('link', { name: 'Admin' }).waitFor();
    await api('PATCH', `/api/v1/users/${who.user}`, { is_admin: false });
    await other.getByRole('link', { name: 'Admin' }).waitFor({ state: 'detached' });
    await menu('Disable', 'Disable');
    await other.getByText('Your session has ended').waitFor();
    await api('PATCH', `/api/v1/users/${who.user}`, { disabled: false });
    await other.getByLabel('Password').fill(PASSWORD);
    await other.keyboard.press('Enter');
    await other.getByText('Your session has ended').waitFor({ state: 'detached' });
    await isLive(other);
    await menu('Delete', 'Delete');
    await other.getByText('Your session has ended').waitFor();
  },

  'every list shows what others do': async ({ page, api, url }) => {
    const p = await project(api);
    const shows = async (address, text, change, undo) => {
      await page.goto(url + address);
      await isLive(page);
      await page.locator('.content h1').first().waitFor();
      await change();
      await page.locator('.content').getByText(text, { exact: true }).first().waitFor();
      if (undo) {
        await undo();
        await page.locator('.content').getByText(text, { exact: true }).first().waitFor({ state: 'detached' });
      }
    };
    const user = some('live');
    await shows(`/ui/admin/users?q=${user}`, user, () => api('POST', '/api/v1/users', { name: user, password: PASSWORD }));
    const role = () => api('PUT', `/api/v1/projects/${p}/members/${user}`, { role: 'guest' });
    await shows(`/ui/p/${p}/settings`, user, role, () => api('DELETE', `/api/v1/projects/${p}/members/${user}`));
    await role();
    await shows(`/ui/p/${p}/settings`, 'LIVE_KEY', () => api('PUT', `/api/v1/projects/${p}/secrets/LIVE_KEY`, { value: 'x' }), () =>
      api('DELETE', `/api/v1/projects/${p}/secrets/LIVE_KEY`));
    const volumes = `/api/v1/projects/${p}/volumes`;
    await shows(`/ui/p/${p}/data`, 'live-data', () => api('POST', volumes, { name: 'live-data' }));
    const files = `${volumes}/live-data/files`;
    await shows(`/ui/p/${p}/data/live-data`, 'a.txt', () => api('PUT', `${files}/a.txt`, 'a'), () =>
      api('POST', `${volumes}/live-data/rename`, { from: 'a.txt', to: 'b.txt' }));
    await shows(`/ui/p/${p}/data/live-data`, 'c.txt', () => api('PUT', `${files}/c.txt`, 'c'), () => api('DELETE', `${files}/c.txt`));
    const another = some('live');
    await shows(`/ui/admin/projects?q=${another}`, another, () => api('POST', '/api/v1/projects', { name: another }), () =>
      api('DELETE', `/api/v1/projects/${another}`));
    let token;
    await shows('/ui/account', another, async () => (token = await api('POST', '/api/v1/tokens', { name: another })), () =>
      api('DELETE', `/api/v1/tokens/${token.id}`));
    await shows(`/ui/admin/audit?q=${user}`, `DELETE /api/v1/users/${user}`, () => api('DELETE', `/api/v1/users/${user}`));
    const job = await api('POST', `/api/v1/projects/${p}/jobs`, { name: 'goes', image: 'library/strata-ml:latest', command: ['no-such-program'] });
    const done = async () => ['failed', 'succeeded'].includes((await api('GET', `/api/v1/projects/${p}/jobs/${job.id}`)).state);
    while (!(await done())) {
      await page.waitForTimeout(100);
    }
    await shows(`/ui/p/${p}/jobs`, 'goes', () => undefined, () => api('DELETE', `/api/v1/projects/${p}/jobs/${job.id}`));
  },

  'a server that is killed under an open page comes back without a reload': async ({ page, url, api, shot }) => {
    const p = await project(api);
    await page.goto(`${url}/ui/p/${p}/data`);
    await page.getByText('No volume yet').waitFor();
    await survives(page, async () => {
      await shot(page, 'stale');
      await untilReady(url);
      await api('POST', `/api/v1/projects/${p}/volumes`, { name: 'made-meanwhile' }); // nobody told this page
    });
    await page.getByRole('link', { name: 'made-meanwhile' }).waitFor();
  },

  'an upload goes on over kill -9 of the server': async ({ page, url, api }) => {
    const p = await project(api);
    await api('POST', `/api/v1/projects/${p}/volumes`, { name: 'set' });
    await page.goto(`${url}/ui/p/${p}/data/set`);
    await page.getByText('This folder is empty').waitFor();
    const data = randomBytes(40 * 1024 * 1024);
    let parts = 0;
    await page.route('**/files/**', async (r) => {
      if (r.request().method() === 'PUT' && ++parts === 2) {
        killServer(); // in the midst: one part is there, the second is on its way
      }
      await r.fallback();
    });
    await page.evaluate(() => (window.isTheSamePage = true));
    await page.locator('input[data-upload=files]').setInputFiles([{ name: 'long.bin', mimeType: 'application/octet-stream', buffer: data }]);
    await page.getByRole('region', { name: 'Uploads' }).getByText('1 uploaded').waitFor();
    assert.ok(parts > 2);
    assert.ok(await page.evaluate(() => window.isTheSamePage));
    const got = Buffer.from(await (await page.request.get(`${url}/api/v1/projects/${p}/volumes/set/files/long.bin`)).body());
    assert.ok(got.equals(data), 'what arrived is what was sent');
  },

  'a log goes on over kill -9 of the server, without gap or repetition': async ({ page, url, api }) => {
    const job = await api('POST', '/api/v1/projects/demo/jobs', { name: 'survivor', image: 'demo/busybox:1', grace: '0s',
      resources: { cpu: '100m', memory: '64Mi' }, command: ['sh', '-c', 'i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo mark $i; sleep 0.1; done'] });
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log`);
    const log = page.locator('.log-box');
    await log.getByText('mark 10', { exact: true }).waitFor();
    await survives(page);
    await log.getByText('mark 100', { exact: true }).waitFor();
    await page.locator('.page-head .state', { hasText: 'succeeded' }).waitFor();
    const marks = (await log.locator('.log-text').allInnerTexts()).map((m) => m.trim()).filter((m) => m.startsWith('mark'));
    const first = Number(marks[0].slice(5));
    assert.deepEqual(marks, Array.from({ length: marks.length }, (_, i) => `mark ${first + i}`));
    assert.equal(first + marks.length - 1, 100);
  },
};
