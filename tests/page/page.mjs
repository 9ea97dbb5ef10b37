// Drives the page in Chromium and prints one JSON line of findings for each claim; the claims are made in main.rs.
//
// usage: node page.mjs MODULES ADDRESS PICTURES
//
// It is told what to do by lines on its standard input ("open", "numbers", ...), so that the other side can change the
// traffic, silence or restart the daemon in between.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, address, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const sizes = { desktop: { width: 1440, height: 1000 }, phone: { width: 390, height: 844 } };
const context = await browser.newContext({
  viewport: sizes.desktop, colorScheme: "dark", reducedMotion: "reduce", locale: "en-GB", timezoneId: "UTC",
});
const page = await context.newPage();
const errors = [];
const foreign = [];
page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
page.on("pageerror", (error) => errors.push(String(error)));
page.on("request", (request) => {
  const url = new URL(request.url());
  if (url.host !== new URL(address).host && url.protocol !== "data:") foreign.push(request.url());
});

const texts = (selector) => page.locator(selector).allInnerTexts();
const rows = (id) => page.$$eval(`#${id} tbody tr`, (lines) => lines.map((line) => [...line.cells].map((cell) => cell.innerText)));

/** How many pixels of the first chart have the colours of receive and transmit. */
async function ink() {
  return page.$eval(".chart canvas", (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const near = (at, [r, g, b]) => Math.abs(data[at] - r) + Math.abs(data[at + 1] - g) + Math.abs(data[at + 2] - b) < 60 && data[at + 3] > 150;
    const found = { receive: 0, transmit: 0, sum: 0 };
    for (let at = 0; at < data.length; at += 4) {
      if (near(at, [76, 194, 255])) found.receive += 1;
      if (near(at, [255, 180, 84])) found.transmit += 1;
      found.sum = (found.sum * 31 + data[at] + data[at + 3]) % 1_000_003;
    }
    return found;
  });
}

const commands = {
  async open() {
    await page.goto(address, { waitUntil: "load" });
    await page.waitForSelector("#link.good", { timeout: 15_000 });
    await page.waitForSelector(".chart canvas", { timeout: 15_000 });
    return { title: await page.title(), link: await page.innerText("#link") };
  },
  async numbers() {
    return {
      interfaces: await texts(".interface h2"), now: await texts(".interface .now"), truth: await texts(".fact"),
      protocols: await rows("protocols"), talkers: await rows("talkers"), flows: await rows("flows"),
      health: await texts(".gauge"), alerts: await texts(".alert"), ink: await ink(),
    };
  },
  /** Bytes a second, by the page's own unit. */
  async bytes() {
    await page.check("input[name=unit][value=bytes]", { force: true });
    return { now: await texts(".interface .now") };
  },
  async filter(words) {
    await page.fill("#flows-words", words);
    await page.waitForTimeout(1500);
    return { flows: await rows("flows"), problem: await page.innerText("#flows-problem") };
  },
  async sort(title) {
    await page.click(`#flows th button:text-is("${title}")`);
    await page.waitForTimeout(1500);
    const head = page.locator("#flows th", { has: page.locator(`button:text-is("${title}")`) });
    return { flows: await rows("flows"), order: await head.getAttribute("aria-sort") };
  },
  async hover() {
    const box = await page.locator(".chart").first().boundingBox();
    await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2);
    await page.waitForTimeout(300);
    return { legend: (await texts(".legend"))[0] };
  },
  /** What the first chart says of each second, while the picture is held and the pointer goes over it. */
  async seconds() {
    await page.click("#pause");
    const box = await page.locator(".chart .u-over").first().boundingBox();
    const said = new Set();
    for (let x = 2; x < box.width; x += 4) {
      await page.mouse.move(box.x + x, box.y + box.height / 2);
      said.add((await texts(".legend"))[0]);
    }
    await page.mouse.move(0, 0);
    await page.click("#pause");
    return { said: [...said] };
  },
  async pause() {
    await page.keyboard.press("Escape");
    await page.click("#pause");
    const before = await ink();
    await page.waitForTimeout(2500);
    const after = await ink();
    const link = await page.innerText("#link");
    await page.click("#pause");
    return { same: before.sum === after.sum, link };
  },
  async moving() {
    const before = await ink();
    await page.waitForTimeout(2500);
    return { moved: before.sum !== (await ink()).sum };
  },
  async silence(name) {
    const alert = page.locator(".alert", { hasText: name });
    await alert.locator("button").waitFor({ timeout: 20_000 });
    await alert.locator("button").click();
    await page.fill("#silence input[name=author]", "night shift");
    await page.fill("#silence input[name=comment]", "known");
    await page.click("#silence-go");
    await page.locator(".alert", { hasText: name }).filter({ hasText: /silenced/i }).waitFor({ timeout: 10_000 });
    return { alerts: await texts(".alert") };
  },
  async lost() {
    await page.waitForSelector("#link.bad", { timeout: 15_000 });
    await page.waitForTimeout(1500);
    return { link: await page.innerText("#link") };
  },
  async back() {
    await page.waitForSelector("#link.good", { timeout: 30_000 });
    return { link: await page.innerText("#link") };
  },
  async range(seconds) {
    await page.check(`input[name=range][value="${seconds}"]`, { force: true });
    await page.waitForTimeout(1500);
    return { ink: await ink() };
  },
  async keyboard() {
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("t");
    const theme = await page.evaluate(() => document.documentElement.dataset.theme);
    await page.keyboard.press("t");
    await page.keyboard.press("/");
    const focus = await page.evaluate(() => document.activeElement.id);
    return { theme, focus };
  },
  async look(name) {
    const [size, theme] = name.split("-");
    await page.setViewportSize(sizes[size]);
    if ((await page.evaluate(() => document.documentElement.dataset.theme)) !== theme) await page.click("#theme");
    await page.waitForTimeout(1500);
    await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: size === "desktop" });
    await page.evaluate(axe.source);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const serious = found.violations.filter((of) => ["serious", "critical"].includes(of.impact));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    return { serious: serious.map((of) => `${of.id}: ${of.nodes.map((node) => node.html).slice(0, 3).join(" ")}`), wide };
  },
  async complaints() {
    return { errors, foreign };
  },
};

const lines = createInterface({ input: process.stdin });
for await (const line of lines) {
  const [command, ...rest] = line.split(" ");
  try {
    console.log(JSON.stringify(await commands[command](rest.join(" "))));
  } catch (error) {
    console.log(JSON.stringify({ failed: `${line}: ${error.message}` }));
  }
}
await browser.close();
