CREATE SCHEMA sales;
CREATE TABLE airlines (carrier varchar(2) PRIMARY KEY, name text NOT NULL);
CREATE TABLE flights (
  id integer PRIMARY KEY,
  carrier varchar(2) NOT NULL REFERENCES airlines (carrier),
  origin text DEFAULT 'JFK',
  dep_delay double precision,
  price numeric(10,2) DEFAULT 0,
  seats integer DEFAULT 100 CHECK (seats > 0),
  flown boolean DEFAULT false,
  scheduled timestamp with time zone DEFAULT now(),
  tags text[],
  CONSTRAINT flights_origin_dep_key UNIQUE (origin, scheduled)
);
CREATE INDEX flights_carrier_idx ON flights (carrier);
CREATE UNIQUE INDEX flights_origin_carrier_idx ON flights (origin, id);
COMMENT ON TABLE flights IS 'every flight';
COMMENT ON COLUMN flights.origin IS 'airport code';
CREATE SEQUENCE counter START 5 INCREMENT 2;
CREATE TABLE sales.orders (
  id serial PRIMARY KEY,
  flight integer REFERENCES flights (id) ON DELETE CASCADE,
  note character varying(40),
  placed timestamp without time zone,
  day date,
  body jsonb,
  raw bytea,
  key uuid,
  big bigint NOT NULL DEFAULT 7,
  small smallint,
  real4 real,
  gap interval
);
CREATE TABLE plain (a integer, "Mixed Case" text);
CREATE VIEW late AS SELECT id, carrier FROM flights;
COMMENT ON SCHEMA sales IS 'what was sold';
