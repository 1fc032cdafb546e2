// A week's work with a real stack: Vite, a node API, PostgreSQL and Chromium, in several worktrees at
// once. This script only chooses base ports; the servers read their ports from env files.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Worktree, checkIsApart, directory, openBrowser, servers } from "./shop.mjs";

const here = import.meta.dirname;
const secrets = { ".env": "STRIPE_KEY", "apps/api/.env": "SESSION_SECRET" };

async function canListen(port) {
  const server = createServer();
  const listens = await new Promise((resolve) => {
    server.once("error", () => resolve(false)).listen(port, () => resolve(true));
  });
  if (listens) await new Promise((resolve) => server.close(resolve));
  return listens;
}

// Four services, 100 ports apart, with ten slots each.
async function freeBasePort() {
  for (let tried = 0; tried < 50; tried += 1) {
    const first = 11_000 + 400 * Math.floor(Math.random() * 50);
    const ports = Array.from({ length: 400 }, (_, offset) => first + offset);
    if ((await Promise.all(ports.map(canListen))).every(Boolean)) return first;
  }
  throw new Error("no 400 free ports in a row");
}

const base = await freeBasePort();
const config = {
  services: { web: base, api: base + 100, postgres: base + 200 },
  step: 10,
  env_files: {
    ".env": { COMPOSE_PROJECT_NAME: "shop{-worktree}", PGPORT: "{postgres}", PGDATABASE: "shop{_worktree}" },
    "apps/api/.env": {
      PORT: "{api}",
      DATABASE_URL: "postgres://shop@localhost:{postgres}/shop{_worktree}",
      WEB_ORIGIN: "http://{worktree.}localhost:{web}",
    },
    "apps/web/.env.local": { PORT: "{web}", VITE_API_URL: "http://{worktree.}localhost:{api}" },
  },
};

const shop = new Worktree(join(directory, "shop"));
let worktrees = [shop];
let browser;

const writeConfig = (worktree) => {
  writeFileSync(join(worktree.path, ".worktree-ports.config.json"), `${JSON.stringify(config, null, 2)}\n`);
};

function commit(worktree, message) {
  worktree.git("add", "--all");
  worktree.git("commit", "--quiet", `--message=${message}`);
}

function add(name, label, ...words) {
  shop.git("worktree", "add", "--quiet", `../${name}`, ...words);
  const worktree = new Worktree(join(directory, name), label);
  worktrees.push(worktree);
  return worktree;
}

function remove(worktree) {
  shop.git("worktree", "remove", worktree.path);
  worktrees = worktrees.filter((other) => other !== worktree);
}

const stateOf = (id) => JSON.parse(shop.hook("--list", "--json")).find(({ worktree }) => worktree === id).state;
const files = () => Object.keys(config.env_files);
const has = (worktree, file) => existsSync(join(worktree.path, file));
const texts = (worktree) => files().filter((file) => has(worktree, file)).map((file) => worktree.text(file));

// What must hold after every step.
async function checkAll() {
  const taken = worktrees.flatMap((worktree) => Object.values(worktree.ports()));
  assert.equal(new Set(taken).size, taken.length, `two worktrees have the same port: ${taken}`);
  for (const worktree of worktrees) {
    for (const [file, name] of Object.entries(secrets)) {
      assert.equal(worktree.env(file)[name], "of the main worktree", `${name} in ${file} of ${worktree.name}`);
    }
    assert.equal(worktree.env(".env").COMPOSE_PROJECT_NAME, worktree.project);
    for (const name of Object.keys(config.env_files[".env"])) {
      const lines = worktree.text(".env").match(new RegExp(`^${name}=`, "gm"));
      assert.equal(lines.length, 1, `${name} in .env of ${worktree.name}`);
    }
  }
  const running = worktrees.filter((worktree) => worktree.running.web);
  await Promise.all(running.map((worktree) => checkIsApart(worktree, browser)));
}

let passed = 0;
async function step(what, action) {
  try {
    await action();
    await checkAll();
  } catch (error) {
    console.log(`FAILED: ${what}`);
    throw error;
  }
  passed += 1;
  console.log(`ok: ${what}`);
}

async function week() {
  await step("the main worktree has the base ports, and keeps its own names and lines", () => {
    cpSync(join(here, "project"), shop.path, { recursive: true });
    writeConfig(shop);
    // PostgreSQL cannot bind port 1, so a program that reads this line fails at once.
    writeFileSync(
      join(shop.path, ".env"),
      "STRIPE_KEY='of the main worktree'\nCOMPOSE_PROJECT_NAME=shop\nexport PGPORT=1\n" +
        "PGDATABASE=shop\nDATABASE_URL=postgres://shop@localhost:${PGPORT}/${PGDATABASE}\n",
    );
    writeFileSync(join(shop.path, "apps/api/.env"), "SESSION_SECRET='of the main worktree'");
    shop.git("init", "--quiet");
    commit(shop, "Open the shop");
    shop.hook("--install");
    shop.hook();
    assert.deepEqual(shop.ports(), config.services);
    assert.equal(shop.env("apps/web/.env.local").VITE_TITLE, "Shop");
  });

  let cart, login, sale;
  await step("each of three worktrees has main's secrets, and its own ports and names", () => {
    cart = add("fix-cart", "fix-cart");
    login = add("new-login", "new-login");
    sale = add("Big_Sale", undefined);
    [, sale.label] = /^shop-(big-sale-[0-9a-f]{6})$/.exec(sale.env(".env").COMPOSE_PROJECT_NAME);
    assert.equal(sale.env("apps/web/.env.local").VITE_TITLE, "Shop");
  });

  await step("twelve servers run at once, each on the port in its worktree's env files", async () => {
    browser = await openBrowser();
    await Promise.all(worktrees.map((worktree) => worktree.start("postgres", "api", "web")));
    assert.equal(servers.filter(({ isRunning }) => isRunning).length, 12);
  });

  await step("each page sees only its own rows and its own login", async () => {
    await browser.logInAndAdd(shop, "ada", "apples");
    await browser.logInAndAdd(cart, "ben", "bread");
    await browser.logInAndAdd(login, "cleo", "cheese");
    await browser.logInAndAdd(sale, "dan", "dates");
    const users = [shop, cart, login, sale].map(({ user, host }) => `${user} at ${host}`);
    assert.deepEqual(await browser.users(), users);
  });

  await step("a branch adds a mail server: no running server changes its port", async () => {
    cpSync(join(here, "mail"), cart.path, { recursive: true });
    config.services.mail = base + 300;
    config.env_files["apps/mail/.env"] = { PORT: "{mail}" };
    config.env_files["apps/api/.env"].MAIL_URL = "http://localhost:{mail}";
    writeConfig(cart);
    commit(cart, "Send mail");
    cart.hook();
    await cart.stop("api");
    await cart.start("mail", "api");
  });

  await step("a look at that branch in main makes no file and leaves no line behind", () => {
    const before = texts(shop);
    shop.git("switch", "--quiet", "--detach", "fix-cart");
    assert.ok(!has(shop, "apps/mail/.env"));
    shop.git("switch", "--quiet", "main");
    assert.deepEqual(texts(shop), before);
  });

  await step("main merges that branch: git runs no hook, so the next call adds the port", async () => {
    shop.git("merge", "--quiet", "--ff-only", "fix-cart");
    shop.hook();
    assert.equal(shop.ports().mail, config.services.mail);
    await shop.stop("api");
    await shop.start("mail", "api");
  });

  await step("a rebase onto main adds the port by the hook alone", async () => {
    writeFileSync(join(login.path, "login.md"), "A new login\n");
    commit(login, "Plan the login");
    login.git("rebase", "--quiet", "main");
    await login.stop("api");
    await login.start("mail", "api");
  });

  await step("a switch to a branch from main adds the port by the hook alone", async () => {
    sale.git("switch", "--quiet", "--create", "summer-sale", "main");
    await sale.stop("api");
    await sale.start("mail", "api");
  });

  await step("a look at an old commit takes no port away; an old branch does, until it is left", () => {
    const before = texts(sale);
    sale.git("switch", "--quiet", "--detach", "main~1");
    assert.deepEqual(texts(sale), before);
    sale.git("switch", "--quiet", "--create", "hotfix", "main~1");
    assert.equal(sale.ports().mail, undefined);
    sale.git("switch", "--quiet", "summer-sale");
    assert.deepEqual(texts(sale), before);
  });

  await step("a moved worktree keeps its ports, names and rows, even if another takes its place", async () => {
    const before = texts(sale);
    await sale.stop("web", "api", "mail", "postgres");
    mkdirSync(join(directory, "moved"));
    shop.git("worktree", "move", "../Big_Sale", "../moved/sale");
    sale.path = join(directory, "moved/sale");
    sale.hook();
    assert.deepEqual(texts(sale), before);
    const next = add("Big_Sale", undefined, "-b", "winter-sale");
    [, next.label] = /^shop-(big-sale1-[0-9a-f]{6})$/.exec(next.env(".env").COMPOSE_PROJECT_NAME);
    await sale.start("postgres", "mail", "api", "web");
    await checkAll();
    remove(next);
  });

  const freed = cart.ports();
  await step("no worktree gets the ports of a removed one while its database is running", async () => {
    await cart.stop("web", "api", "mail");
    remove(cart);
    const late = add("late-fix", "late-fix");
    assert.ok(!Object.values(late.ports()).includes(freed.postgres));
    await cart.stop("postgres");
  });

  await step("then another worktree gets them, with an empty database and no login", async () => {
    const dark = add("dark-mode", "dark-mode");
    assert.deepEqual(dark.ports(), freed);
    await dark.start("postgres", "mail", "api", "web");
  });

  await step("a worktree of the removed one's name has the database and login of that name", async () => {
    const { user, rows } = cart;
    cart = Object.assign(add("fix-cart", "fix-cart", "fix-cart"), { user, rows });
    assert.notDeepEqual(cart.ports(), freed);
    await cart.start("postgres", "mail", "api", "web");
  });

  await login.stop("web", "api", "mail", "postgres");
  const setups = {
    'cp "../shop/$1" "$1"': "outdated",
    'rm "$1"; [ -f "$1" ] || cp "../shop/$1" "$1"': "outdated",
    'cp -n "../shop/$1" "$1"': "ok",
    '[ -f "$1" ] || cp "../shop/$1" "$1"': "ok",
  };
  const before = texts(login);
  const ports = login.ports();
  for (const [setup, state] of Object.entries(setups)) {
    await step(`after ${setup}, the next call or checkout restores the ports and keeps the secrets`, () => {
      for (const remedy of [() => login.hook(), () => login.git("checkout", "--quiet", "new-login")]) {
        for (const file of files()) login.run("sh", "-c", setup, "setup", file);
        assert.deepEqual(login.ports(), state === "outdated" ? shop.ports() : ports);
        assert.equal(stateOf("new-login"), state);
        remedy();
        assert.equal(stateOf("new-login"), "ok");
        assert.deepEqual(texts(login), before);
      }
    });
  }
  await step("that worktree's servers start again on the same ports", async () => {
    await login.start("postgres", "mail", "api", "web");
  });

  await step("no API and no database was ever reached from another worktree", () => {
    for (const { service, name, host, log } of servers) {
      const clients = {
        postgres: [...log.matchAll(/application_name=(\S+)/g)].map(([, client]) => client === name),
        api: [...log.matchAll(/request from (\S+)/g)].map(([, origin]) => new URL(origin).hostname === host),
      }[service];
      if (!clients) continue;
      assert.ok(clients.length > 0, `nobody reached the ${service} of ${name}`);
      assert.ok(clients.every(Boolean), `the ${service} of ${name} was reached from elsewhere:\n${log}`);
    }
  });

  await step("--check finds no problem", () => shop.hook("--check"));
}

async function end() {
  await browser?.close();
  await Promise.all(servers.map((server) => server.stop()));
}

process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));
process.once("exit", () => servers.filter(({ isRunning }) => isRunning).forEach((server) => server.process.kill("SIGINT")));

let failed = 0;
try {
  await week();
} catch (error) {
  failed = 1;
  console.log(error.stack);
  console.log(error.stderr ?? "");
  console.log(shop.hook("--list"));
  for (const server of servers.filter(({ isRunning }) => isRunning)) {
    console.log(`${server.service} of ${server.name} at ${server.port}:\n${server.log.split("\n").slice(-5).join("\n")}`);
  }
}
await end();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed;
