//! The questions. The same SQL is run by Gadwall on its tables and by DuckDB on the files.
//!
//! Each has one right answer: a total order, and no rounding of sums of floating-point numbers.

/// A question.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) title: &'static str,
    pub(super) sql: &'static str,
}

pub(super) static QUERIES: [Query; 12] = [
    Query {
        title: "busiest routes (joins)",
        sql: "\
SELECT f.origin, o.city AS origin_city, f.destination, d.city AS destination_city,
       count(*) AS flights, avg(f.delay) AS mean_delay, max(f.distance) AS miles
FROM air.flights f
JOIN air.airports o ON o.iata = f.origin
JOIN air.airports d ON d.iata = f.destination
GROUP BY ALL
ORDER BY flights DESC, f.origin, f.destination
LIMIT 15",
    },
    Query {
        title: "flights by month (windows)",
        sql: "\
WITH monthly AS (
    SELECT CAST(date_trunc('month', \"date\") AS DATE) AS month, count(*) AS flights,
           count(*) FILTER (delay > 15) AS late, max(\"date\") AS last
    FROM air.flights GROUP BY 1
)
SELECT month, monthname(month) AS name, flights, last,
       sum(flights) OVER (ORDER BY month) AS so_far,
       flights - lag(flights) OVER (ORDER BY month) AS more,
       rank() OVER (ORDER BY 1.0 * late / flights DESC, month) AS place
FROM monthly ORDER BY month",
    },
    Query {
        title: "worst connection of each airport (QUALIFY)",
        sql: "\
SELECT origin, destination, count(*) AS flights, avg(delay) AS mean_delay
FROM air.flights
GROUP BY origin, destination
HAVING count(*) >= 50
QUALIFY row_number() OVER (PARTITION BY origin ORDER BY avg(delay) DESC, destination) = 1
ORDER BY mean_delay DESC, origin
LIMIT 25",
    },
    Query {
        title: "top airports of each state (lists of structs)",
        sql: "\
WITH departures AS (
    SELECT a.state, a.iata, a.name, count(*) AS flights
    FROM air.flights f JOIN air.airports a ON a.iata = f.origin GROUP BY ALL
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY state ORDER BY flights DESC, iata) AS place FROM departures
)
SELECT state, sum(flights) AS total,
       list({'iata': iata, 'name': name, 'flights': flights} ORDER BY place) FILTER (place <= 3) AS top
FROM ranked GROUP BY state
ORDER BY total DESC, state
LIMIT 20",
    },
    Query {
        title: "earthquakes by network (nested columns)",
        sql: "\
SELECT properties.net AS network, count(*) AS quakes, max(properties.mag) AS strongest,
       list({'id': id, 'mag': properties.mag, 'depth': geometry.coordinates[3]}
            ORDER BY properties.mag DESC NULLS LAST, id)[1:2] AS top,
       list_sort(list_distinct(list(properties.magType))) AS scales,
       list_sort(list_distinct(flatten(list(string_split(trim(properties.\"types\", ','), ','))))) AS products
FROM earth.earthquakes GROUP BY 1
ORDER BY quakes DESC, network",
    },
    Query {
        title: "strong earthquakes and the one before (ASOF)",
        sql: "\
WITH quakes AS (
    SELECT id, properties.mag AS mag, properties.place AS place,
           make_timestamp(properties.\"time\" * 1000) AS at
    FROM earth.earthquakes
)
SELECT q.id, q.at, q.place, q.mag, b.id AS before, b.mag AS before_mag,
       date_diff('second', b.at, q.at) AS seconds
FROM (SELECT * FROM quakes WHERE mag >= 4.5) q
ASOF LEFT JOIN (SELECT * FROM quakes WHERE mag >= 5) b ON q.at > b.at
ORDER BY q.at, q.id",
    },
    Query {
        title: "weather by year (PIVOT)",
        sql: "\
SELECT * FROM (
    PIVOT (SELECT year(\"date\") AS year, weather FROM earth.weather)
    ON weather IN ('drizzle', 'fog', 'rain', 'snow', 'sun') USING count(*) GROUP BY year
) ORDER BY year",
    },
    Query {
        title: "weather by month (UNPIVOT)",
        sql: "\
SELECT month, measure, count(*) AS days, min(reading) AS low, avg(reading) AS mean,
       quantile_cont(reading, 0.9) AS high
FROM (
    UNPIVOT (SELECT month(\"date\") AS month, precipitation, temp_max, temp_min, wind FROM earth.weather)
    ON precipitation, temp_max, temp_min, wind INTO NAME measure VALUE reading
) GROUP BY ALL
ORDER BY month, measure",
    },
    Query {
        title: "films by genre (dates, quantiles)",
        sql: "\
WITH dated AS (SELECT *, CAST(strptime(\"Release Date\", '%b %d %Y') AS DATE) AS released FROM film.movies)
SELECT \"Major Genre\" AS genre, count(*) AS films, count(*) FILTER (year(released) >= 2000) AS since_2000,
       min(released) AS first, max(released) AS last,
       median(\"US Gross\") AS median_gross, quantile_cont(\"IMDB Rating\", [0.25, 0.5, 0.75]) AS ratings,
       max(\"IMDB Rating\") AS best, sum(\"Worldwide Gross\") AS gross,
       list(Title ORDER BY Title) FILTER (regexp_full_match(Title, '[0-9]+')) AS numbers
FROM dated GROUP BY 1
ORDER BY films DESC, genre",
    },
    Query {
        title: "bird strikes (ROLLUP, decimals)",
        sql: "\
SELECT \"Phase of flight\" AS phase, \"Wildlife Size\" AS size,
       grouping(\"Phase of flight\", \"Wildlife Size\") AS level, count(*) AS strikes,
       sum(\"Cost Total $\") AS cost, avg(\"Speed IAS in knots\") AS speed,
       count(*) - count(\"Speed IAS in knots\") AS no_speed,
       count(DISTINCT \"Wildlife Species\") AS species, max(\"Flight Date\") AS last
FROM air.birdstrikes
GROUP BY ROLLUP (\"Phase of flight\", \"Wildlife Size\")
ORDER BY level DESC, phase, size",
    },
    Query {
        title: "all flights and the sample (FULL JOIN)",
        sql: "\
WITH whole AS (
    SELECT distance // 500 * 500 AS miles, count(*) AS flights, avg(delay) AS delay FROM air.flights GROUP BY 1
), sample AS (
    SELECT distance // 500 * 500 AS miles, count(*) AS flights, avg(delay) AS delay,
           min(\"time\") AS earliest, max(\"time\") AS latest, avg(\"time\") AS mean_time
    FROM air.flights_200k GROUP BY 1
)
SELECT miles, w.flights AS flights, s.flights AS sampled, w.delay AS delay, s.delay AS sampled_delay,
       s.earliest, s.latest, s.mean_time
FROM whole w FULL JOIN sample s USING (miles)
ORDER BY miles",
    },
    Query {
        title: "nearest ZIP code of busy airports (great circles)",
        sql: "\
WITH busy AS (
    SELECT origin AS iata, count(*) AS flights FROM air.flights GROUP BY 1 ORDER BY flights DESC, iata LIMIT 12
)
SELECT b.iata, a.name, b.flights, z.zip_code, z.city, z.county,
       7918 * asin(sqrt(pow(sin(radians(z.latitude - a.latitude) / 2), 2)
           + cos(radians(a.latitude)) * cos(radians(z.latitude))
           * pow(sin(radians(z.longitude - a.longitude) / 2), 2))) AS miles
FROM busy b
JOIN air.airports a ON a.iata = b.iata
JOIN earth.zipcodes z ON z.state = a.state
QUALIFY row_number() OVER (PARTITION BY b.iata ORDER BY miles, z.zip_code) = 1
ORDER BY b.flights DESC, b.iata",
    },
];
