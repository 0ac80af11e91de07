// A player on a phone: registers, draws with a cut and a reload in the middle, wins; another browser sees it live.
import { faultsOf, loseAnswers, register, run } from "./browser.mjs";

const STILL = { reducedMotion: "reduce" }; // axe looks at colours as they stay

async function drawn(page) {
  await page.click("[data-test=draw]");
  await page.waitForSelector("[data-test=again]");
}

await run(async (open, { activity, ticketed, username }) => {
  const player = await open(STILL);
  const watcher = await open({ ...STILL, width: 1440, height: 900, locale: "ja-JP", colorScheme: "dark" });
  const faults = [];
  await watcher.goto(`/activities/${activity}`);
  await watcher.waitForSelector(".winners .tag.good");

  await player.goto(`/activities/${activity}`);
  await register(player, username);
  await player.waitForSelector("[data-test=draw]");
  faults.push(...(await faultsOf(player, "stage")));

  const draws = await loseAnswers(player, "**/api/lottery/draw");
  await player.click("[data-test=draw]");
  while (draws.length < 2) await player.waitForTimeout(50);
  await player.reload();
  await player.waitForSelector("[data-test=again]");
  const code = await player.textContent(".draw code");
  faults.push(...(await faultsOf(player, "result")));

  await watcher.waitForSelector(".winners li");
  const seen = await watcher.textContent(".winners li strong");
  faults.push(...(await faultsOf(watcher, "watched")));

  await player.goto(`/activities/${ticketed}`);
  await drawn(player);
  const ticket = draws.at(-1).asked;

  await player.goto("/prizes");
  await player.waitForSelector("main li code");
  const codes = await player.locator("main li code").allTextContents();
  faults.push(...(await faultsOf(player, "prizes")));
  await watcher.goto("/");
  await watcher.waitForSelector("main .card");
  faults.push(...(await faultsOf(watcher, "home")));
  await watcher.selectOption("footer select", "zh-CN");
  await watcher.waitForSelector("html[lang=zh-CN]");
  await watcher.goto("/sign-in?new");
  await watcher.waitForSelector("#email");
  faults.push(...(await faultsOf(watcher, "sign in")));
  const heading = await watcher.textContent("h1");
  return { draws: draws.slice(0, 3), code, seen, ticket, codes, faults, heading };
});
