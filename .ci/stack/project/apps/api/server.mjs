// The shop's API. Its only configuration is apps/api/.env.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { basename, resolve } from "node:path";
import { text } from "node:stream/consumers";
import dotenv from "dotenv";
import pg from "pg";

const { PORT, DATABASE_URL, WEB_ORIGIN, SESSION_SECRET, MAIL_URL } = dotenv.config({ quiet: true }).parsed;
if (!SESSION_SECRET) throw new Error("apps/api/.env has no SESSION_SECRET");

const worktree = basename(resolve("../.."));
const database = new pg.Pool({ connectionString: DATABASE_URL, application_name: worktree });
await database.query("CREATE TABLE IF NOT EXISTS rows (id serial, row text)");

const sign = (user) => `${user}.${createHmac("sha256", SESSION_SECRET).update(user).digest("hex")}`;

function userOf(request) {
  const session = /(?:^|; )session=([^;]*)/.exec(request.headers.cookie)?.[1] ?? "";
  const user = session.split(".")[0];
  return session === sign(user) ? user : "";
}

async function state(user) {
  const rows = await database.query("SELECT row FROM rows ORDER BY id");
  const server = await database.query("SELECT current_database() AS name, current_setting('data_directory') AS data");
  const { name, data } = server.rows[0];
  return {
    user,
    rows: rows.rows.map(({ row }) => row),
    worktree,
    database: `${name} in ${basename(data)}`,
    mail: MAIL_URL ? await (await fetch(MAIL_URL)).text() : "",
  };
}

const server = createServer(async (request, response) => {
  console.log(`request from ${request.headers.origin}`);
  let user = userOf(request);
  if (request.url === "/login") {
    user = await text(request);
    response.setHeader("Set-Cookie", `session=${sign(user)}; Path=/; HttpOnly; SameSite=Strict`);
  } else if (request.url === "/add" && user) {
    await database.query("INSERT INTO rows (row) VALUES ($1)", [`${await text(request)} by ${user}`]);
  }
  response.setHeader("Access-Control-Allow-Origin", WEB_ORIGIN);
  response.setHeader("Access-Control-Allow-Credentials", "true");
  response.end(JSON.stringify(await state(user)));
});
server.listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
