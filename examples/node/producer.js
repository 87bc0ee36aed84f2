// Sends follow events to the input of net followers, with kafkajs. Exit code 0: all have arrived.
//
//     BOOTSTRAP=127.0.0.1:9092 node producer.js < events.jsonl
//
// One event a line: {"event_id", "account_id", "follower_id", "action", "occurred_at"}.
import { createInterface } from 'node:readline'
import kafkajs from 'kafkajs'

const BOOTSTRAP = process.env.BOOTSTRAP ?? '127.0.0.1:9092'
const TOPIC = process.env.INPUT_TOPIC ?? 'follow-events'
const BATCH = 1_000

const kafka = new kafkajs.Kafka({ brokers: BOOTSTRAP.split(','), logLevel: kafkajs.logLevel.WARN })
const producer = kafka.producer({
  idempotent: true, // a retry inside the client is no second record
  maxInFlightRequests: 1, // what idempotence needs here to keep the order
  // An account must land in the same partition whichever client sends it: its events are counted
  // there, in the order of the log. This is murmur2 of the key as in Kafka's own clients, and the
  // default since kafkajs 2. Not so: LegacyPartitioner, and the default of @platformatic/kafka,
  // which agrees only where the number of partitions is a power of two.
  createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
})

let messages = []
async function send() {
  if (messages.length > 0) await producer.send({ topic: TOPIC, acks: -1, messages }) // -1: all
  messages = []
}

await producer.connect()
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line.trim() === '') continue
  const key = JSON.parse(line).account_id // what is no event ends us, with a trace
  if (typeof key !== 'string') throw new Error(`no account_id: ${line}`)
  messages.push({ key, value: line })
  if (messages.length >= BATCH) await send()
}
// After a failure send the whole file again: an event id that was counted is a duplicate.
await send()
await producer.disconnect()
