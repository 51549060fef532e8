// What a step costs that is dragged over a large graph: bench/studio.py starts the server, this drives Chromium.
// Prints one line of JSON. STRATA_URL, STRATA_PASSWORD; arguments: project pipeline step. What counts is the time that the page's thread
// ran scripts for an event, from Chromium's own trace, and not the clock: other programs do not make it longer.
import { chromium } from 'playwright-core';

const [, , PROJECT, PIPELINE, STEP] = process.argv;
const URL_ = process.env.STRATA_URL;
const ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-dev-shm-usage'];
const EVENTS = 120;

async function signIn(page) {
  await page.goto(`${URL_}/ui/`);
  await page.locator('input[autocomplete=username]').fill('admin');
  await page.locator('input[autocomplete=current-password]').fill(process.env.STRATA_PASSWORD);
  await page.keyboard.press('Enter');
  await page.locator('.frame').waitFor();
}

/** All that is written while `work` is done. */
async function trace(browser, page, work) {
  await browser.startTracing(page, { categories: ['devtools.timeline', 'v8', 'disabled-by-default-v8.cpu_profiler'] });
  await work();
  return JSON.parse((await browser.stopTracing()).toString()).traceEvents;
}

/** Milliseconds of processor time in scripts of the page's thread, outermost ones only: those inside others are in them already. */
function scriptOf(events) {
  const main = events.find((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain' && events.some((x) => x.pid === e.pid && x.tid === e.tid && x.name === 'EventDispatch'));
  const scripts = events
    .filter((e) => e.ph === 'X' && e.pid === main.pid && e.tid === main.tid && ['FunctionCall', 'EvaluateScript', 'RunMicrotasks', 'FireAnimationFrame', 'TimerFire', 'V8.GCScavenger', 'MinorGC', 'MajorGC'].includes(e.name))
    .sort((a, b) => a.ts - b.ts);
  let until = 0;
  let total = 0;
  for (const e of scripts) {
    if (e.ts >= until) {
      until = e.ts + e.dur;
      total += e.tdur ?? e.dur;
    }
  }
  const moves = events.filter((e) => e.name === 'EventDispatch' && e.pid === main.pid && e.tid === main.tid && e.args?.data?.type === 'mousemove').length;
  return { ms: total / 1000, moves };
}

async function measure(browser) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  await signIn(page);
  await page.goto(`${URL_}/ui/p/${PROJECT}/pipelines/${PIPELINE}`);
  const step = page.locator(`.react-flow__node[data-id="${STEP}"]`);
  await step.waitFor();
  await page.getByText('Nothing is wrong with it.').waitFor();
  const box = await step.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 6);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 5, box.y + 10);
  const steps = await page.locator('.react-flow__node').count();
  const events = await trace(browser, page, async () => {
    for (let i = 0; i < EVENTS; i++) {
      await page.mouse.move(box.x + box.width / 2 + 10 + (i % 40) * 4, box.y + 10 + (i % 30) * 4);
    }
  });
  await page.mouse.up();
  return { ...scriptOf(events), steps };
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGS });
try {
  console.log(JSON.stringify(await measure(browser)));
} finally {
  await browser.close();
}
