// What the console feels like on a slow machine: bench/console.py starts the server and fills it, this drives Chromium.
// Prints one line of JSON for each page and interaction. STRATA_URL, STRATA_PASSWORD, SLOWER=4; arguments: job log volume repository
import { chromium } from 'playwright-core';

const [, , LOG_JOB, VOLUME, REPOSITORY] = process.argv;
const URL_ = process.env.STRATA_URL;
const SLOWER = Number(process.env.SLOWER ?? 4);
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-dev-shm-usage'];

const say = (row) => console.log(JSON.stringify(row));
const rest = (page, ms = 250) => page.waitForTimeout(ms);

/** Runs in the page before anything else: Event Timing, layout shifts, long tasks. */
function observe() {
  const w = window;
  w.seen = { events: [], shifts: [], tasks: [] };
  const on = (type, add, options) => new PerformanceObserver((l) => l.getEntries().forEach(add)).observe({ type, buffered: true, ...options });
  on('event', (e) => e.interactionId && w.seen.events.push({ ms: e.duration, name: e.name, wait: e.processingStart - e.startTime, work: e.processingEnd - e.processingStart }), { durationThreshold: 16 });
  on('layout-shift', (e) => e.hadRecentInput || w.seen.shifts.push(e.value));
  on('longtask', (e) => w.seen.tasks.push(e.duration));
}

const settled = (page) =>
  page.waitForFunction(() => {
    const main = document.querySelector('.content');
    return main?.innerText.trim() && !main.querySelector('.ant-skeleton, .ant-spin-spinning, .page-wait, [aria-busy=true]');
  });

async function load(page, name, address) {
  const began = Date.now();
  await page.goto(`${URL_}/ui${address}`);
  await settled(page);
  const ms = Date.now() - began;
  await rest(page, 600);
  const got = await page.evaluate(() => {
    const own = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].filter((e) => new URL(e.name).pathname.startsWith('/ui'));
    const sum = (list) => list.reduce((n, e) => n + e.encodedBodySize, 0);
    return { bytes: sum(own), js: sum(own.filter((e) => e.name.endsWith('.js'))), cls: window.seen.shifts.reduce((a, b) => a + b, 0), tasks: window.seen.tasks };
  });
  say({ page: name, ms, bytes: got.bytes, js: got.js, cls: got.cls, long: got.tasks.length, longest: Math.max(0, ...got.tasks) });
}

/** The longest interaction of what `work` does with mouse and keyboard, until the next paint. */
async function interact(page, name, work, after) {
  await rest(page, 400);
  await page.evaluate(() => (window.seen.events.length = 0, window.seen.tasks.length = 0));
  await work();
  await after?.();
  await rest(page, 700);
  const { events, tasks } = await page.evaluate(() => window.seen);
  const worst = events.reduce((a, b) => (b.ms > a.ms ? b : a), { ms: 0 });
  say({ interaction: name, ms: worst.ms, event: worst.name, wait: Math.round(worst.wait ?? 0), work: Math.round(worst.work ?? 0), longest: Math.max(0, ...tasks) });
}

/** Scrolling is no interaction of Event Timing: the longest gap between two frames while a list rushes by. */
async function scroll(page, name, selector) {
  await rest(page, 400);
  const box = await page.locator(selector).first().boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + Math.min(300, box.height / 2));
  await page.evaluate(() => {
    window.gaps = [];
    let last = performance.now();
    const tick = (now) => {
      window.gaps.push(now - last);
      last = now;
      window.ticking = requestAnimationFrame(tick);
    };
    window.ticking = requestAnimationFrame(tick);
  });
  for (let i = 0; i < 40; i++) {
    await page.mouse.wheel(0, 900);
    await rest(page, 25);
  }
  await rest(page, 300);
  const gaps = await page.evaluate(() => (cancelAnimationFrame(window.ticking), window.gaps.slice(2).sort((a, b) => b - a)));
  say({ scroll: name, ms: Math.round(gaps[0]), p95: Math.round(gaps[Math.floor(gaps.length * 0.05)]), frames: gaps.length });
}

const link = (page, name) => page.getByRole('navigation', { name: 'Main navigation' }).getByText(name, { exact: true }).click();
const close = (page) => page.keyboard.press('Escape');

async function frame(page) {
  await interact(page, 'menu: jobs, 10,000 of them', () => link(page, 'Jobs'), () => settled(page));
  await interact(page, 'menu: data', () => link(page, 'Data'), () => settled(page));
  await interact(page, 'menu: images, 500 repositories', () => link(page, 'Images'), () => settled(page));
  await interact(page, 'menu: overview', () => link(page, 'Overview'), () => settled(page));
  await interact(page, 'menu: jobs again', () => link(page, 'Jobs'), () => settled(page));
  await interact(page, 'theme: dark', async () => {
    await page.getByRole('button', { name: 'Appearance' }).click();
    await rest(page, 500);
    await page.evaluate(() => (window.seen.events.length = 0));
    await page.getByRole('menuitem', { name: 'Dark' }).click();
  });
  await interact(page, 'theme: open the menu', () => page.getByRole('button', { name: 'Appearance' }).click());
  await interact(page, 'theme: light', () => page.getByRole('menuitem', { name: 'Light' }).click());
  await page.getByRole('button', { name: 'Language' }).click();
  await interact(page, 'language: 繁體中文', () => page.getByRole('menuitem', { name: '繁體中文' }).click());
  await page.getByRole('button', { name: '語言' }).click();
  await interact(page, 'language: English', () => page.getByRole('menuitem', { name: 'English' }).click());
  await interact(page, 'search: type', async () => {
    await page.getByRole('combobox', { name: 'Search' }).click();
    await page.keyboard.type('job-12', { delay: 60 });
  });
  await close(page);
}

async function jobs(page) {
  await load(page, 'jobs, 10,000 of them', '/p/bench/jobs');
  await scroll(page, 'jobs', '.job-lines');
  await page.goto(`${URL_}/ui/p/bench/jobs`);
  await settled(page);
  await interact(page, 'jobs: type into the filter', async () => {
    await page.getByLabel(/^Filter by name/).click();
    await page.keyboard.type('job-99', { delay: 60 });
  });
  await page.goto(`${URL_}/ui/p/bench/jobs`);
  await settled(page);
  await interact(page, 'jobs: filter by state', () => page.getByRole('button', { name: 'failed', exact: true }).click(), () => settled(page));
  await interact(page, 'jobs: all states', () => page.locator('.chip').first().click(), () => settled(page));
  await interact(page, 'jobs: select a row', () => page.locator('.job-lines input[type=checkbox]').nth(3).click());
  await interact(page, 'jobs: select all', () => page.getByLabel('Select all that are shown').click());
  await interact(page, 'jobs: open one', () => page.locator('.job-lines a').nth(2).click(), () => settled(page));
  for (const tab of ['Log', 'Spec', 'Events', 'Overview']) {
    await interact(page, `job: tab ${tab}`, () => page.getByRole('tab', { name: tab }).click());
  }
  await interact(page, 'job: the same from a terminal', () => page.getByRole('button', { name: 'The same from a terminal' }).click());
  await load(page, 'job', `/p/bench/jobs/${LOG_JOB}`);
  await load(page, 'log of 100 MB', `/p/bench/jobs/${LOG_JOB}?tab=log`);
  await page.locator('.log-box .log-text').first().waitFor();
  await rest(page, 1000);
  await page.locator('.log-box').first().hover();
  for (let i = 0; i < 5; i++) {
    await page.mouse.wheel(0, -20000);
    await rest(page, 50);
  }
  await scroll(page, 'log of 100 MB', '.log-box');
  await interact(page, 'log: type into the search', async () => {
    await page.getByLabel('Find in the log').click();
    await page.keyboard.type('99999', { delay: 80 });
  });
  await load(page, 'new job', '/p/bench/jobs/new');
  await interact(page, 'new job: to YAML', () => page.getByText('YAML', { exact: true }).click(), () => page.locator('.cm-content').waitFor());
  await interact(page, 'new job: type YAML', async () => {
    await page.locator('.cm-content').click();
    await page.keyboard.type('name: abc', { delay: 80 });
  });
  await interact(page, 'new job: to the form', () => page.getByText('Form', { exact: true }).click());
  await interact(page, 'new job: type a name', async () => {
    await page.getByLabel('Name', { exact: true }).click();
    await page.keyboard.type('def', { delay: 80 });
  });
}

async function data(page) {
  await load(page, 'volumes', '/p/bench/data');
  await interact(page, 'data: dialog "New volume"', () => page.getByRole('button', { name: 'New volume' }).click());
  await interact(page, 'data: type a name', () => page.keyboard.type('abc', { delay: 80 }));
  await close(page);
  await load(page, 'folder of 10,000 files', `/p/bench/data/${VOLUME}`);
  await scroll(page, 'folder of 10,000 files', '.virtual');
  await page.goto(`${URL_}/ui/p/bench/data/${VOLUME}`);
  await settled(page);
  await interact(page, 'folder: select a row', () => page.locator('.virtual input[type=checkbox]').nth(3).click());
  await interact(page, 'folder: select all that are loaded', () => page.locator('.virtual input[type=checkbox]').first().click());
  await interact(page, 'folder: actions of a file', () => page.getByRole('button', { name: /^Actions for/ }).nth(4).click());
  await close(page);
  await interact(page, 'folder: dialog "New folder"', () => page.getByRole('button', { name: 'New folder' }).click());
  await close(page);
  await interact(page, 'folder: preview of a file', () => page.locator('.virtual a').nth(5).click());
  await close(page);
}

async function images(page) {
  await load(page, 'images, 500 repositories', '/p/bench/images');
  await interact(page, 'images: type into the filter', async () => {
    await page.getByPlaceholder(/Filter/).first().click();
    await page.keyboard.type('repo-4', { delay: 60 });
  });
  await interact(page, 'images: open one', () => page.locator('.ant-table a').first().click(), () => settled(page));
  await load(page, 'repository, 500 tags', `/p/bench/images/${REPOSITORY}`);
  await interact(page, 'tags: type into the filter', async () => {
    await page.getByPlaceholder(/Filter/).first().click();
    await page.keyboard.type('t-4', { delay: 60 });
  });
  await interact(page, 'tags: open one', () => page.locator('.ant-table a').first().click(), () => settled(page));
}

async function administration(page) {
  for (const name of ['users', 'projects', 'permissions', 'audit', 'health', 'nodes', 'settings']) {
    await load(page, `admin: ${name}`, `/admin/${name}`);
  }
  await page.goto(`${URL_}/ui/admin/users`);
  await settled(page);
  await interact(page, 'users: dialog "New user"', () => page.getByRole('button', { name: 'New user' }).click());
  await close(page);
  await interact(page, 'users: type into the filter', async () => {
    await page.getByPlaceholder(/Filter/).first().click();
    await page.keyboard.type('us', { delay: 60 });
  });
  await interact(page, 'admin: to the audit log', () => page.getByRole('link', { name: 'Audit' }).click(), () => settled(page));
  await interact(page, 'admin: to the settings', () => page.getByRole('link', { name: 'Settings', exact: true }).click(), () => settled(page));
  await load(page, 'project settings', '/p/bench/settings');
  await load(page, 'account', '/account');
  await interact(page, 'account: dialog "New token"', () => page.getByRole('button', { name: 'New token' }).click());
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: 'en-US' });
  context.setDefaultTimeout(60_000);
  await context.addInitScript(observe);
  await context.addInitScript(() => localStorage.setItem('strata.project', 'bench'));
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await page.goto(`${URL_}/ui/`);
  await page.locator('input[autocomplete=username]').fill('admin');
  await page.locator('input[autocomplete=current-password]').fill(process.env.STRATA_PASSWORD);
  await page.keyboard.press('Enter');
  await page.locator('.frame').waitFor();
  await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
  await load(page, 'overview', '/overview');
  for (const part of [frame, jobs, data, images, administration]) {
    if (!process.env.ONLY || process.env.ONLY.split(',').includes(part.name)) {
      await part(page);
    }
  }
} finally {
  await browser.close();
}
