// The JSON peer in Node: reads what `producer json` writes, parses it, and reports how long the handing over took, from
// the moment at which the producer had the rows until they can be read here.
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const input = Buffer.concat(chunks);
const end = input.indexOf('\n');
const about = JSON.parse(input.toString('utf8', 0, end));
const rows = JSON.parse(input.toString('utf8', end + 1));
const to = Number(process.hrtime.bigint());

let miles = 0;
for (const row of rows) miles += row.distance;
if (rows.length !== about.rows || miles !== about.miles) {
  throw new Error(`${rows.length} rows with ${miles} miles came through, not ${about.rows} with ${about.miles}`);
}
const text = input.length - end - 1;
console.log(JSON.stringify({ event: 'json', bytes: about.bytes, rows: about.rows, text, ms: (to - about.from) / 1e6 }));
