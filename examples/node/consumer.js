// Reads net followers' results from the beginning and prints the table, with kafkajs.
//
//     BOOTSTRAP=127.0.0.1:9092 node consumer.js
//
// JSON lines: the rows by account, then the windows by account, grain and start.
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'

const BOOTSTRAP = process.env.BOOTSTRAP ?? '127.0.0.1:9092'
const UPDATES = process.env.UPDATES_TOPIC ?? 'net-follower-updates'
const WINDOWS = process.env.WINDOWS_TOPIC ?? 'net-follower-windows'
const ROW = ['account_id', 'gained', 'lost', 'net', 'followers']
const WINDOW = ['account_id', 'grain', 'start_ms', 'gained', 'lost', 'net', 'revision']

const rows = new Map()
const windows = new Map()

function fold(topic, { key, value }) {
  if (topic === WINDOWS) {
    const window = JSON.parse(value)
    const place = JSON.stringify([window.account_id, window.grain, window.start_ms])
    // A later event may change a final window: the highest revision is the one that holds.
    if (!(windows.get(place)?.revision >= window.revision)) windows.set(place, window)
  } else if (key.length === 0) {
    // a checkpoint of the service (at least once only), no account
  } else if (value === null) {
    rows.delete(key.toString()) // a tombstone: the account is gone
  } else {
    rows.set(key.toString(), JSON.parse(value)) // the whole row: the newest by key holds
  }
}

const kafka = new kafkajs.Kafka({ brokers: BOOTSTRAP.split(','), logLevel: kafkajs.logLevel.WARN })
const admin = kafka.admin()
await admin.connect()
const left = new Map() // 'topic/partition' -> offset to read up to
for (const topic of [UPDATES, WINDOWS]) {
  for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
    if (BigInt(low) < BigInt(high)) left.set(`${topic}/${partition}`, BigInt(high))
  }
}
await admin.disconnect()

// kafkajs always reads as a member of a group: a new one each time, which commits nothing.
const consumer = kafka.consumer({
  groupId: `net-followers-example-${randomUUID()}`,
  readUncommitted: false, // else results of a crashed worker would count too
})
const finished = new Promise((resolve, reject) => {
  if (left.size === 0) resolve()
  // Told also of batches that hold nothing but the markers of transactions, which take offsets.
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    const name = `${payload.topic}/${payload.partition}`
    if (BigInt(payload.lastOffset) + 1n >= left.get(name)) left.delete(name)
    if (left.size === 0) resolve()
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
})
await consumer.connect()
await consumer.subscribe({ topics: [UPDATES, WINDOWS], fromBeginning: true })
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ topic, message }) => fold(topic, message),
})
await finished
await consumer.disconnect()

const byAccount = (a, b) => Buffer.compare(Buffer.from(a.account_id), Buffer.from(b.account_id))
const byPlace = (a, b) =>
  byAccount(a, b) || (a.grain > b.grain) - (a.grain < b.grain) || a.start_ms - b.start_ms
for (const row of [...rows.values()].sort(byAccount)) console.log(JSON.stringify(row, ROW))
for (const one of [...windows.values()].sort(byPlace)) console.log(JSON.stringify(one, WINDOW))
