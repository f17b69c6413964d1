// Runs once, when the database is new: each service gets a user that knows its own database alone.
for (const service of ["intake", "router", "notifier", "metrics"]) {
  const name = `lianxin_${service}`;
  db.getSiblingDB(name).createUser({
    user: service,
    pwd: process.env[`MONGO_${service.toUpperCase()}_PASSWORD`],
    roles: [{ role: "readWrite", db: name }],
  });
}
