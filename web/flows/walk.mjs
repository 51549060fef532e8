// Every page in every role and language: what a role may not do is not there, nothing is left in another language, nothing
// sticks out of a small screen, nothing jumps while it loads, axe-core finds nothing. A new page gets a row in PAGES.
import assert from 'node:assert/strict';
import { leftOver } from './lib/texts.mjs';

const PASSWORD = 'correct horse battery';
const PROJECT = 'walk';
const ROLES = ['none', 'guest', 'developer', 'maintainer', 'admin'];
const CLS = 0.02;
const FIRST_LOAD = 450_000;
const REFUSED = /There is no such page|There is no project|may not|needs job:submit/;

/** What a page offers, and from which role on: [role, kind, English name]. */
const PAGES = [
  { name: 'overview', at: '/overview' },
  { name: 'jobs', at: '/p/walk/jobs', offers: [['developer', 'link', 'Submit a job']] },
  { name: 'new-job', at: '/p/walk/jobs/new', from: 'developer' },
  { name: 'new-job-yaml', at: '/p/walk/jobs/new?tab=yaml', from: 'developer' },
  { name: 'job', at: '/p/walk/jobs/{job}', offers: [['developer', 'link', 'Clone'], ['developer', 'button', 'Delete']] },
  { name: 'job-running', at: '/p/walk/jobs/{running}', offers: [['developer', 'button', 'Cancel the job']] },
  { name: 'job-log', at: '/p/walk/jobs/{job}?tab=log' },
  { name: 'job-files', at: '/p/walk/jobs/{job}?tab=files' },
  { name: 'job-spec', at: '/p/walk/jobs/{job}?tab=spec' },
  { name: 'job-events', at: '/p/walk/jobs/{job}?tab=events' },
  { name: 'job-none', at: '/p/walk/jobs/j-aaaaaaaa' },
  { name: 'pipelines', at: '/p/walk/pipelines', offers: [['developer', 'button', 'New pipeline']] },
  { name: 'pipeline', at: '/p/walk/pipelines/walked', offers: [['developer', 'button', 'Run'], ['developer', 'button', 'Save']] },
  { name: 'pipeline-list', at: '/p/walk/pipelines/walked?view=list' },
  { name: 'pipeline-yaml', at: '/p/walk/pipelines/walked?view=yaml', offers: [['developer', 'button', 'Take this text']] },
  { name: 'pipeline-preview', at: '/p/walk/pipelines/walked?preview=read.table' },
  { name: 'pipeline-none', at: '/p/walk/pipelines/nowhere' },
  { name: 'versions', at: '/p/walk/pipelines/walked/versions' },
  { name: 'runs', at: '/p/walk/runs' },
  { name: 'run', at: '/p/walk/runs/{run}', offers: [['developer', 'button', 'Delete']] },
  { name: 'compare', at: '/p/walk/runs/compare?a={run}&b={run}' },
  { name: 'data', at: '/p/walk/data', offers: [['developer', 'button', 'New volume'], ['developer', 'button', 'Delete volume set']] },
  { name: 'folder', at: '/p/walk/data/set', offers: [['developer', 'button', 'New folder']] },
  { name: 'preview', at: '/p/walk/data/set?preview=a.csv' },
  { name: 'folder-none', at: '/p/walk/data/set/nowhere' },
  { name: 'images', at: '/p/walk/images', offers: [['developer', 'button', 'Upload an archive']] },
  { name: 'trash', at: '/p/walk/trash', from: 'maintainer' },
  { name: 'labels', at: '/p/walk/labels', offers: [['maintainer', 'button', 'New label']] },
  { name: 'repository', at: '/p/walk/images/tool', offers: [['maintainer', 'button', 'Delete the tag 1']] },
  { name: 'image', at: '/p/walk/images/tool?tag=1', offers: [['maintainer', 'button', 'Delete the tag 1']] },
  { name: 'rules-storage', at: '/p/walk/image-rules', offers: [['admin', 'button', 'Change the limit']] },
  { name: 'rules-retention', at: '/p/walk/image-rules?tab=retention', offers: [['maintainer', 'button', 'New rule']] },
  { name: 'rules-immutable', at: '/p/walk/image-rules?tab=immutable', offers: [['maintainer', 'button', 'New rule']] },
  { name: 'rules-webhooks', at: '/p/walk/image-rules?tab=webhooks', offers: [['maintainer', 'button', 'New webhook']] },
  {
    name: 'project-settings',
    at: '/p/walk/settings',
    offers: [['maintainer', 'button', 'Add'], ['maintainer', 'button', 'New secret'], ['maintainer', 'button', 'Delete the project walk']],
  },
  { name: 'metrics-start', at: '/monitoring', project: false, offers: [['none', 'button', 'Add a query']] },
  { name: 'metrics', at: '/monitoring?q=up&q=strata_http_connections', project: false, offers: [['none', 'button', 'Add a query']] },
  { name: 'metrics-table', at: '/monitoring?q=up&tab=table', project: false },
  { name: 'targets', at: '/monitoring/targets', project: false },
  { name: 'account', at: '/account', project: false, offers: [['none', 'button', 'New token']] },
  { name: 'no-such-page', at: '/no/such/page', project: false },
  { name: 'users', at: '/admin/users', project: false, admin: true, offers: [['admin', 'button', 'New user']] },
  ...['groups', 'robots', 'projects', 'storage', 'replication', 'permissions', 'audit', 'health', 'nodes', 'settings'].map((n) => ({ name: `admin-${n}`, at: `/admin/${n}`, project: false, admin: true })),
];

const ensure = (api, method, path, body) => api(method, path, body).catch(() => undefined);

/** An image of `to` with the blobs of one that is there. */
async function copyImage(api, from, to) {
  const manifest = await api('GET', `/api/v1/projects/${from.project}/repositories/${from.repository}/tags`);
  const { digest } = manifest.items[0];
  const raw = await api('GET', `/v2/${from.project}/${from.repository}/manifests/${digest}`);
  const m = typeof raw === 'string' ? JSON.parse(raw) : raw;
  for (const blob of [m.config, ...m.layers]) {
    await api('POST', `/v2/${to}/blobs/uploads/?mount=${blob.digest}&from=${from.project}/${from.repository}`);
  }
  return m;
}

/** The project that is walked through; made once for all walks. */
async function prepare(api, url, admin) {
  await ensure(api, 'POST', '/api/v1/projects', { name: PROJECT });
  const base = `/api/v1/projects/${PROJECT}`;
  await ensure(api, 'POST', `${base}/volumes`, { name: 'set' });
  await api('PUT', `${base}/volumes/set/files/a.csv`, 'a,b\n1,2\n');
  await ensure(api, 'POST', `${base}/volumes/set/dirs/sub`);
  await api('PUT', `${base}/secrets/KEY`, { value: 'secret' });
  const m = await copyImage(api, { project: 'demo', repository: 'busybox' }, `${PROJECT}/tool`);
  const put = await fetch(`${url}/v2/${PROJECT}/tool/manifests/1`, {
    method: 'PUT',
    headers: { 'Content-Type': m.mediaType, Authorization: `Basic ${Buffer.from(`${admin.user}:${admin.password}`).toString('base64')}` },
    body: JSON.stringify(m),
  });
  assert.ok(put.ok, await put.text());
  const jobs = (await api('GET', `${base}/jobs`)).items;
  const make = async (name, script) =>
    jobs.find((j) => j.name === name) ??
    (await api('POST', `${base}/jobs`, { name, image: 'walk/tool:1', grace: '0s', resources: { cpu: '50m', memory: '32Mi' }, command: ['sh', '-c', script] }));
  const job = await make('walked', 'echo one; echo two');
  const running = await make('walking', 'echo started; sleep 3600');
  for (const [id, state] of [[job.id, 'succeeded'], [running.id, 'running']]) {
    while ((await api('GET', `${base}/jobs/${id}`)).state !== state) {
      await new Promise((done) => setTimeout(done, 100));
    }
  }
  await ensure(api, 'PUT', `${base}/pipelines/walked`, { pipeline: 1, nodes: { read: { module: 'read_csv', params: { path: 'set:a.csv', header: 'yes' } }, split: { module: 'split', inputs: { table: 'read.table' } } } });
  const run = (await api('GET', `${base}/runs`)).items[0] ?? (await api('POST', `${base}/pipelines/walked/runs`, { to: 'read' }));
  while ((await api('GET', `${base}/runs/${run.id}`)).state !== 'succeeded') {
    await new Promise((done) => setTimeout(done, 100));
  }
  return { job: job.id, running: running.id, run: String(run.id) };
}

async function member(api, role) {
  const user = `walk-${role}`;
  await ensure(api, 'POST', '/api/v1/users', { name: user, password: PASSWORD });
  if (role !== 'none') {
    await api('PUT', `/api/v1/projects/${PROJECT}/members/${user}`, { role });
  }
  return { user, password: PASSWORD };
}

/** Nothing waits, spins or is about to come. */
const settled = (page) =>
  page.waitForFunction(() => {
    const main = document.querySelector('.content');
    return main?.innerText.trim() && !main.querySelector('.ant-skeleton, .ant-spin-spinning, .page-wait, [aria-busy=true], .ant-card-loading');
  });

/** To an address of the console as a link goes, without loading it anew. */
async function go(page, address) {
  await page.evaluate((a) => {
    history.pushState({}, '', `/ui${a}`);
    dispatchEvent(new PopStateEvent('popstate', { state: {} }));
  }, address);
  // Until then the page before is still there: the next one comes when it is ready.
  await page.waitForFunction((a) => document.querySelector('.content')?.dataset.shows === a || a === '/admin', address);
  await settled(page);
}

/** All that is read on a page or said by a screen reader; what users and the server wrote is left out. */
const words = (page) =>
  page.evaluate(() => {
    const found = [];
    const ours = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (ours.nextNode()) {
      const at = ours.currentNode.parentElement;
      if (!at.closest('script, style, pre, code, .cm-editor, .log-box, .mono, [lang]:not(html)')) {
        found.push(ours.currentNode.textContent.trim());
      }
    }
    for (const el of document.querySelectorAll('[aria-label], [placeholder], [title], [alt]')) {
      found.push(...['aria-label', 'placeholder', 'title', 'alt'].map((a) => el.getAttribute(a) ?? ''));
    }
    return found.filter(Boolean);
  });

/** By script, because a drawer may lie over the menu. */
async function speak(page, code) {
  await page.locator('.top-right button:has(.anticon-global)').dispatchEvent('click');
  await page.locator(`.ant-dropdown [lang="${code}"]`).first().dispatchEvent('click');
  await page.waitForFunction((l) => document.documentElement.lang === l, code);
  await settled(page);
}

const rank = (role) => ROLES.indexOf(role);

/** Buttons and links that are there, or not, as the role may use them. */
async function offers(page, p, role, mayOpen) {
  for (const [from, kind, name] of p.offers ?? []) {
    const found = page.getByRole(kind, { name: new RegExp(`(^| )${name}$`) }).first(); // an icon's name may come before
    if (mayOpen && rank(role) >= rank(from)) {
      await found.waitFor();
    } else {
      assert.equal(await found.count(), 0, `"${name}" is there`);
    }
  }
}

/** What is called so in the pipeline that is walked, in every language. */
const NAMES = new Set(['read', 'table', 'file']);

/** Soon after: what Ant Design says comes with a file of its own. */
async function speaksOnly(page, language) {
  let left = [];
  for (let i = 0; i < 200; i++) {
    left = leftOver(language, (await words(page)).filter((w) => !NAMES.has(w)));
    if (left.length === 0) {
      return;
    }
    await page.waitForTimeout(100);
  }
  throw new Error(left.join(' | '));
}

async function onSmallScreen(page, shoot) {
  await page.setViewportSize({ width: 400, height: 800 });
  const fits = page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 20_000 });
  const [wide] = await Promise.allSettled([fits]);
  await shoot();
  await page.setViewportSize({ width: 1280, height: 860 });
  assert.equal(wide.status, 'fulfilled', 'it is too wide for 400 px');
}

async function walk(role, { page: adminPage, newPage, api, url, admin, shot, accessible }) {
  const ids = await prepare(api, url, admin);
  const isAdmin = role === 'admin';
  const page = isAdmin ? adminPage : await newPage(await member(api, role));
  await page.getByRole('status', { name: 'Live' }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Admin', exact: true }).count(), isAdmin ? 1 : 0);
  const wrong = [];
  const enough = 8; // each waits a minute for what does not come
  const refusals = new Set(); // what such pages say: the same is looked at once
  for (const p of PAGES) {
    if (wrong.length >= enough) {
      break;
    }
    const check = (what, work) => work.catch((e) => wrong.push(`${p.name}, ${what}: ${e.message}`));
    const mayOpen = p.admin ? isAdmin : p.project === false || (role !== 'none' && rank(role) >= rank(p.from ?? 'guest'));
    await go(page, p.at.replace(/\{(\w+)\}/g, (_, id) => ids[id]));
    await check('what is offered', offers(page, p, role, mayOpen));
    if (!mayOpen && p.name !== 'overview') {
      await check('it is refused', page.getByText(REFUSED).first().waitFor());
      const said = await page.locator('.content').innerText();
      if (refusals.has(said)) {
        continue;
      }
      refusals.add(said);
    }
    await shot(page, `${role}-${p.name}`);
    if (role === 'developer' || role === 'maintainer') {
      continue; // no page shows them what an administrator or a guest does not see: only what they are offered is their own
    }
    await check('axe', accessible(page));
    for (const language of role === 'admin' || role === 'none' ? ['zh-TW', 'zh-CN', 'en'] : ['zh-TW', 'en']) {
      await speak(page, language);
      await check(language, speaksOnly(page, language));
      if (language === 'zh-TW') {
        await check('small screen', onSmallScreen(page, () => shot(page, `${role}-${p.name}-400`)));
      }
    }
  }
  assert.equal(wrong.length, 0, `as ${role}:\n${wrong.join('\n')}`);
}

export const flows = {
  ...Object.fromEntries(ROLES.map((role) => [`every page as ${role === 'none' ? 'a user without a project' : role}`, (t) => walk(role, t)])),

  'no page jumps while it loads, and the first load is small': async ({ page, api, url, admin }) => {
    const ids = await prepare(api, url, admin);
    await page.context().addInitScript(() => {
      window.shifts = [];
      new PerformanceObserver((list) => {
        for (const e of list.getEntries().filter((s) => !s.hadRecentInput)) {
          window.shifts.push({ value: e.value, by: e.sources.map((s) => `${s.node?.className ?? s.node?.textContent} from ${s.previousRect.y} to ${s.currentRect.y}`) });
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    const wrong = [];
    for (const p of PAGES) {
      await page.goto(url + '/ui' + p.at.replace(/\{(\w+)\}/g, (_, id) => ids[id]));
      await settled(page);
      await page.waitForTimeout(300); // what comes late would jump now
      const { shifts, bytes } = await page.evaluate(() => ({
        shifts: window.shifts,
        bytes: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
          .filter((e) => new URL(e.name).pathname.startsWith('/ui/'))
          .reduce((sum, e) => sum + e.encodedBodySize, 0),
      }));
      const cls = shifts.reduce((sum, s) => sum + s.value, 0);
      if (cls >= CLS) {
        wrong.push(`${p.name}: shifts by ${cls.toFixed(3)}: ${JSON.stringify(shifts.filter((s) => s.value > 0.001))}`);
      }
      if (p.name === 'overview') {
        assert.ok(bytes > 100_000 && bytes <= FIRST_LOAD, `the first page takes ${bytes} bytes`);
      }
    }
    assert.deepEqual(wrong, []);
  },
};
