// The help beside every page, and "the same from a terminal": shown everywhere, and true.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
const drawer = (page) => page.getByRole('dialog', { name: /Help|說明|帮助/ });

const SRC = path.join(path.dirname(new URL(import.meta.url).pathname), '../src');

/** Every address of the console, as its routes are written; what only leads elsewhere is none. */
async function addresses() {
  const files = ['app/pages.tsx', ...['account', 'admin', 'data', 'images', 'jobs', 'metrics', 'studio'].map((area) => `pages/${area}/routes.tsx`)];
  const found = [];
  for (const file of files) {
    const text = await readFile(path.join(SRC, file), 'utf8');
    found.push(...[...text.matchAll(/path: '([^']+)',\s*element: <(\w+)/g)].filter((m) => !/Navigate|InProject|NotFound|AdminFrame/.test(m[2])).map((m) => m[1]));
  }
  return found;
}

/** What the pages show "the same from a terminal" of is made here. */
async function makeSamples(api) {
  const ensure = (...what) => api(...what).catch(() => undefined);
  await ensure('POST', '/api/v1/projects', { name: 'twins' });
  await ensure('POST', '/api/v1/users', { name: 'twin-user', password: 'correct horse battery' });
  await ensure('POST', '/api/v1/groups', { name: 'twin-group', description: '' });
  await ensure('POST', '/api/v1/projects/twins/volumes', { name: 'twin-data' });
  await ensure('PUT', "/api/v1/projects/twins/volumes/twin-data/files/it's%20a%20folder/a%20file.txt", 'twins');
  const job = await api('POST', '/api/v1/projects/demo/jobs', { image: 'demo/busybox:1', command: ['echo', 'twins'], resources: { cpu: '100m', memory: '64Mi' } });
  for (let i = 0; (await api('GET', `/api/v1/projects/demo/jobs/${job.id}`)).state !== 'succeeded'; i++) {
    assert.ok(i < 1200, 'the job ends');
    await new Promise((done) => setTimeout(done, 100));
  }
  await ensure('PUT', '/api/v1/projects/twins/pipelines/twin', { pipeline: 1, nodes: { read: { module: 'read_csv', params: { path: 'twin-data:data.csv' } } } });
  await ensure('PUT', '/api/v1/projects/twins/volumes/twin-data/files/data.csv', 'a,b\n1,2\n');
  const run = await api('POST', '/api/v1/projects/twins/pipelines/twin/runs', {});
  for (let i = 0; (await api('GET', `/api/v1/projects/twins/runs/${run.id}`)).state !== 'succeeded'; i++) {
    assert.ok(i < 1200, 'the run ends');
    await new Promise((done) => setTimeout(done, 100));
  }
  return {
    '/overview': ['/overview'],
    '/p/:project/pipelines': ['/p/twins/pipelines?q=twin'],
    '/p/:project/pipelines/:name': ['/p/twins/pipelines/twin'],
    '/p/:project/pipelines/:name/versions': ['/p/twins/pipelines/twin/versions'],
    '/p/:project/runs': ['/p/twins/runs?state=succeeded'],
    '/p/:project/runs/compare': [`/p/twins/runs/compare?a=${run.id}&b=${run.id}`],
    '/p/:project/runs/:id': [`/p/twins/runs/${run.id}`],
    '/p/:project/jobs': ['/p/demo/jobs?state=succeeded'],
    '/p/:project/jobs/new': ['/p/demo/jobs/new'],
    '/p/:project/jobs/:id': [`/p/demo/jobs/${job.id}`],
    '/p/:project/data': ['/p/twins/data'],
    '/p/:project/data/:volume/*': ['/p/twins/data/twin-data', "/p/twins/data/twin-data/it's%20a%20folder?preview=a%20file.txt"],
    '/p/:project/images': ['/p/demo/images'],
    '/p/:project/trash': ['/p/demo/trash'],
    '/p/:project/labels': ['/p/twins/labels'],
    '/p/:project/images/*': ['/p/demo/images/busybox', '/p/demo/images/busybox?tag=1'],
    '/p/:project/image-rules': ['/p/twins/image-rules', '/p/twins/image-rules?tab=retention', '/p/twins/image-rules?tab=immutable', '/p/twins/image-rules?tab=webhooks'],
    '/p/:project/settings': ['/p/twins/settings'],
    users: ['/admin/users'],
    groups: ['/admin/groups'],
    robots: ['/admin/robots'],
    projects: ['/admin/projects'],
    storage: ['/admin/storage'],
    replication: ['/admin/replication'],
    permissions: ['/admin/permissions'],
    audit: ["/admin/audit?user=admin&q=it's&time=day"],
    health: ['/admin/health'],
    nodes: ['/admin/nodes'],
    settings: ['/admin/settings'],
    '/monitoring': ["/monitoring?q=sum(up{job%3D'strata'})&range=6h", '/monitoring'],
    '/monitoring/targets': ['/monitoring/targets'],
    '/account': ['/account'],
  };
}

/** The pairs that a page shows: [command, curl]. */
async function twinsOf(page) {
  if (page.url().includes('preview=')) {
    await page.locator('.preview').waitFor();
  }
  await page.getByRole('button', { name: 'The same from a terminal' }).last().click(); // the drawer's, where there is one
  await page.locator('.as-code .twin').first().waitFor();
  const pairs = await page.locator('.as-code .twin').evaluateAll((all) => all.map((e) => [...e.querySelectorAll('code')].map((c) => c.textContent.trim())));
  await page.keyboard.press('Escape');
  return pairs;
}

/** What both answered, without what differs between two moments. */
function alike(text) {
  const drop = (key, value) => (/^(last_used_at|last_seen_at|kind|.*_free|found|level|next)$/.test(key) ? undefined : value);
  try {
    const value = JSON.parse(text);
    return JSON.parse(JSON.stringify(value.items ?? value, drop));
  } catch {
    return text;
  }
}

export const flows = {
  'the question mark opens the section about what one sees, and its links stay in the drawer': async ({ page, url, api, shot, accessible }) => {
    await api('POST', '/api/v1/projects', { name: 'helped' }).catch(() => undefined);
    await page.goto(`${url}/ui/p/helped/jobs`);
    await page.getByRole('button', { name: 'Help' }).click();
    await drawer(page).getByRole('heading', { name: 'The list of jobs' }).waitFor();
    assert.match(page.url(), /help=here/);
    await accessible(page);
    await shot(page, 'drawer');
    await drawer(page).getByRole('link', { name: 'how it ended' }).click();
    await page.waitForURL(/help=jobs\.how-a-job-ends/);
    await page.waitForFunction(() => {
      const at = document.getElementById('help-how-a-job-ends')?.getBoundingClientRect().top ?? 9999;
      return at >= 0 && at < innerHeight / 2;
    });
    await drawer(page).getByRole('combobox', { name: 'Contents' }).click();
    await page.getByTitle('Data', { exact: true }).click();
    await page.waitForURL(/help=data/);
    await drawer(page).getByRole('heading', { name: 'Data', exact: true }).waitFor();
    await page.reload(); // a link to the help shows a colleague the same
    await drawer(page).getByRole('heading', { name: 'Data', exact: true }).waitFor();
    await page.setViewportSize({ width: 1600, height: 900 });
    const edges = await page.evaluate(() => [document.querySelector('.content').getBoundingClientRect().right, document.querySelector('.help').getBoundingClientRect().left]);
    assert.ok(edges[0] <= edges[1], 'a wide page makes room');
    await shot(page, 'beside');
    await page.keyboard.press('Escape');
    await drawer(page).waitFor({ state: 'hidden' });
    assert.ok(!page.url().includes('help='));
  },

  'the key ? opens and closes it, not while one types; g and a letter go elsewhere': async ({ page, url, api }) => {
    await api('POST', '/api/v1/projects', { name: 'helped' }).catch(() => undefined);
    await page.goto(`${url}/ui/p/helped/jobs`);
    await page.getByRole('heading', { name: 'Jobs' }).waitFor();
    await page.keyboard.press('?');
    await drawer(page).waitFor();
    await page.keyboard.press('?');
    await drawer(page).waitFor({ state: 'hidden' });
    const search = page.getByRole('combobox', { name: 'Search' });
    await search.fill('what');
    await search.press('?');
    assert.equal(await search.inputValue(), 'what?');
    assert.ok(!page.url().includes('help='));
    await page.keyboard.press('Escape');
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press('g');
    await page.keyboard.press('d');
    await page.waitForURL(/\/p\/helped\/data$/);
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await page.waitForURL(/\/overview$/);
  },

  'the help follows the tabs of a page, in the language of the console': async ({ newPage, url, api, shot, accessible }) => {
    const job = await api('POST', '/api/v1/projects/demo/jobs', { image: 'demo/busybox:1', command: ['true'], resources: { cpu: '100m', memory: '64Mi' } });
    for (const [locale, ended, log, tab] of [['zh-TW', '工作如何結束', '日誌', '日誌'], ['zh-CN', '作业如何结束', '日志', '日志']]) {
      const page = await newPage({ locale });
      await page.goto(`${url}/ui/p/demo/jobs/${job.id}?help=here`);
      await drawer(page).getByRole('heading', { name: ended }).waitFor();
      await page.getByRole('tab', { name: tab }).click();
      await page.waitForFunction((text) => {
        const heading = [...document.querySelectorAll('.help-page h3')].find((h) => h.textContent === text);
        const at = heading?.getBoundingClientRect().top ?? 9999;
        return at >= 0 && at < innerHeight / 2;
      }, log);
      await accessible(page);
      await shot(page, `log-${locale}`);
      await page.context().close();
    }
  },

  'the manual is searched; code is copied; a small dark screen shows all of it': async ({ newPage, url, shot, accessible }) => {
    const page = await newPage({ width: 400, dark: true });
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto(`${url}/ui/overview?help=jobs.every-key-of-a-job`);
    await drawer(page).getByRole('heading', { name: 'Every key of a job' }).waitFor();
    await accessible(page);
    await shot(page, 'table-400-dark');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    const wide = await page.evaluate(() => [...document.querySelectorAll('.help .ant-drawer-body')].every((e) => e.scrollWidth <= e.clientWidth));
    assert.ok(wide, 'tables and code scroll in themselves');
    await drawer(page).getByRole('button', { name: 'Copy' }).first().click();
    await drawer(page).getByRole('button', { name: 'Copied' }).first().waitFor();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^image: vision\/busybox:1\n/);
    await drawer(page).getByRole('textbox', { name: 'Search the manual' }).fill('out of memory');
    await drawer(page).getByRole('link', { name: 'Jobs › Out of memory' }).click();
    await drawer(page).getByRole('heading', { name: 'Out of memory' }).waitFor();
    await page.waitForURL(/help=jobs\.out-of-memory/);
  },

  'every page shows the same as a command and as curl, and both do the same': async ({ page, url, api, admin }) => {
    const samples = await makeSamples(api);
    assert.deepEqual(Object.keys(samples).sort(), (await addresses()).sort(), 'a page without a sample here: give it one, with its commands and its help');
    const home = await mkdtemp(path.join(tmpdir(), 'strata-twins-'));
    const { token } = await api('POST', '/api/v1/tokens', { name: 'twins' });
    const env = { PATH: `${path.dirname(process.env.STRATA_BINARY)}:${process.env.PATH}`, HOME: home, STRATA_SERVER: url, STRATA_TOKEN: token, LC_ALL: 'C.UTF-8' };
    const sh = async (text) => (await promisify(execFile)('bash', ['-c', text], { cwd: home, env, timeout: 60_000 })).stdout;
    await writeFile(path.join(home, 'FILE'), 'correct horse battery\n');
    await writeFile(path.join(home, 'KEY.pub'), PEM);
    await writeFile(path.join(home, 'job.yaml'), 'image: demo/busybox:1\ncommand: ["true"]\nresources: {cpu: 100m, memory: 64Mi}\n');
    await writeFile(path.join(home, 'pipeline.yaml'), 'pipeline: 1\nnodes:\n  read: {module: read_csv, params: {path: "twin-data:data.csv"}}\n');
    const ran = new Map();
    try {
      for (const address of Object.values(samples).flat()) {
        await page.goto(url + '/ui' + address);
        const pairs = await twinsOf(page);
        assert.ok(pairs.length > 0 && pairs.every((p) => p.length === 2), `${address}: ${JSON.stringify(pairs)}`);
        for (const [cli, curl] of pairs) {
          if (!ran.has(cli)) {
            ran.set(cli, address);
            await both(sh, cli, curl, address);
          }
        }
      }
    } finally {
      await rm(home, { recursive: true, force: true });
    }
    assert.ok(ran.size > 25, [...ran.keys()].join('\n'));
  },

  'every page has its help': async ({ page, url, api, admin }) => {
    for (const address of Object.values(await makeSamples(api)).flat()) {
      await page.goto(`${url}/ui${address}${address.includes('?') ? '&' : '?'}help=here`);
      const article = drawer(page).locator('article');
      await article.getByRole('heading', { level: 2 }).waitFor();
      assert.notEqual(await article.getByRole('heading', { level: 2 }).innerText(), 'Manual', `${address} has a section of its own`);
    }
  },
};

/** Reading must answer the same; changing must work in both ways, each with names of its own. */
async function both(sh, cli, curl, address) {
  const said = `${address}\n  ${cli}\n  ${curl}`;
  const run = (text) => sh(text).catch((e) => assert.fail(`${said}\n${e.stdout}${e.stderr}`));
  const ask = curl.replace('curl -sS', 'curl -sS --fail-with-body');
  if (!curl.includes(' -X ')) {
    const one = alike(await run(/ (logs|data get) /.test(cli) ? cli : `${cli} --json`));
    const two = alike(await run(ask));
    assert.deepEqual(one, two, said);
  } else if (!/-X DELETE|\bRULE\b/.test(curl)) {
    const named = (text, name) => text.replace(/\bNAME\b/g, name).replace(/\bUSER\b/g, 'twin-user').replace('PASSWORD', 'correct horse battery').replace(/\bGROUP\b/g, 'twin-group').replace(/\bURL\b/g, 'https://registry.example').replace('"PEM"', JSON.stringify(PEM));
    const unique = `t${Math.random().toString(36).slice(2, 10)}`;
    await run(named(cli, `${unique}a`));
    await run(named(ask, `${unique}b`));
  }
}
