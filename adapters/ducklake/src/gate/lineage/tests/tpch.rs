//! TPC-H's queries.

use super::super::super::tests::engine::Engine;
use super::{expect, of};

fn queries() -> Vec<&'static str> {
    include_str!("../../../../../../tests/src/tpch/queries.sql").lines().collect()
}

#[test]
fn all_of_them_are_told_in_full() {
    let engine = Engine::open();
    let queries = queries();
    assert_eq!(queries.len(), 22);
    for (number, sql) in (1..).zip(queries) {
        let lineage = of(&engine, &[], sql);
        assert!(!lineage.partial && !lineage.rows.open, "{number}");
        let columns = engine.run(&engine.gate(&format!("SELECT * FROM (DESCRIBE {sql})")).unwrap().1).unwrap().1;
        assert_eq!(lineage.rows.columns.len(), columns.len(), "{number}");
        // Only counts of rows come from no column.
        let counts = lineage.rows.columns.iter().filter(|column| column.value.flow.0.is_empty()).count();
        assert_eq!(counts, usize::from([1, 4, 13, 21, 22].contains(&number)), "{number}");
        assert!(!lineage.rows.kept_by.0.is_empty(), "{number}");
    }
}

#[test]
fn what_some_are_made_of() {
    let engine = Engine::open();
    let queries = queries();
    let wanted = [
        (
            1,
            "l_returnflag: lineitem.l_returnflag IDENTITY
             l_linestatus: lineitem.l_linestatus IDENTITY
             sum_qty: lineitem.l_quantity AGGREGATION
             sum_base_price: lineitem.l_extendedprice AGGREGATION
             sum_disc_price: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION
             sum_charge: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION lineitem.l_tax AGGREGATION
             avg_qty: lineitem.l_quantity AGGREGATION
             avg_price: lineitem.l_extendedprice AGGREGATION
             avg_disc: lineitem.l_discount AGGREGATION
             count_order:
             rows: lineitem.l_linestatus GROUP_BY lineitem.l_linestatus SORT lineitem.l_returnflag GROUP_BY lineitem.l_returnflag SORT lineitem.l_shipdate FILTER",
        ),
        (
            3,
            "l_orderkey: lineitem.l_orderkey IDENTITY
             revenue: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION
             o_orderdate: orders.o_orderdate IDENTITY
             o_shippriority: orders.o_shippriority IDENTITY
             rows: customer.c_custkey FILTER customer.c_mktsegment FILTER lineitem.l_discount SORT lineitem.l_extendedprice SORT lineitem.l_orderkey GROUP_BY lineitem.l_orderkey FILTER lineitem.l_shipdate FILTER orders.o_custkey FILTER orders.o_orderdate GROUP_BY orders.o_orderdate FILTER orders.o_orderdate SORT orders.o_orderkey FILTER orders.o_shippriority GROUP_BY",
        ),
        (
            4,
            "o_orderpriority: orders.o_orderpriority IDENTITY
             order_count:
             rows: lineitem.l_commitdate FILTER lineitem.l_orderkey FILTER lineitem.l_receiptdate FILTER orders.o_orderdate FILTER orders.o_orderkey FILTER orders.o_orderpriority GROUP_BY orders.o_orderpriority SORT",
        ),
        (
            6,
            "revenue: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION
             rows: lineitem.l_discount FILTER lineitem.l_quantity FILTER lineitem.l_shipdate FILTER",
        ),
        (
            11,
            "ps_partkey: partsupp.ps_partkey IDENTITY
             value: partsupp.ps_availqty AGGREGATION partsupp.ps_supplycost AGGREGATION
             rows: nation.n_name FILTER nation.n_nationkey FILTER partsupp.ps_availqty FILTER partsupp.ps_availqty SORT partsupp.ps_partkey GROUP_BY partsupp.ps_suppkey FILTER partsupp.ps_supplycost FILTER partsupp.ps_supplycost SORT supplier.s_nationkey FILTER supplier.s_suppkey FILTER",
        ),
        (
            12,
            "l_shipmode: lineitem.l_shipmode IDENTITY
             high_line_count: orders.o_orderpriority CONDITIONAL
             low_line_count: orders.o_orderpriority CONDITIONAL
             rows: lineitem.l_commitdate FILTER lineitem.l_orderkey FILTER lineitem.l_receiptdate FILTER lineitem.l_shipdate FILTER lineitem.l_shipmode GROUP_BY lineitem.l_shipmode FILTER lineitem.l_shipmode SORT orders.o_orderkey FILTER",
        ),
        (
            13,
            "c_count: orders.o_orderkey AGGREGATION*
             custdist:
             rows: customer.c_custkey JOIN customer.c_custkey GROUP_BY orders.o_comment JOIN orders.o_custkey JOIN orders.o_orderkey GROUP_BY orders.o_orderkey SORT",
        ),
        (
            14,
            "promo_revenue: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION part.p_type CONDITIONAL
             rows: lineitem.l_partkey FILTER lineitem.l_shipdate FILTER part.p_partkey FILTER",
        ),
        (
            15,
            "s_suppkey: supplier.s_suppkey IDENTITY
             s_name: supplier.s_name IDENTITY
             s_address: supplier.s_address IDENTITY
             s_phone: supplier.s_phone IDENTITY
             total_revenue: lineitem.l_discount AGGREGATION lineitem.l_extendedprice AGGREGATION
             rows: lineitem.l_discount FILTER lineitem.l_extendedprice FILTER lineitem.l_shipdate FILTER lineitem.l_suppkey GROUP_BY lineitem.l_suppkey FILTER supplier.s_suppkey FILTER supplier.s_suppkey SORT",
        ),
        (
            17,
            "avg_yearly: lineitem.l_extendedprice AGGREGATION
             rows: lineitem.l_partkey FILTER lineitem.l_quantity FILTER part.p_brand FILTER part.p_container FILTER part.p_partkey FILTER",
        ),
        (
            22,
            "cntrycode: customer.c_phone TRANSFORMATION
             numcust:
             totacctbal: customer.c_acctbal AGGREGATION
             rows: customer.c_acctbal FILTER customer.c_custkey FILTER customer.c_phone GROUP_BY customer.c_phone FILTER customer.c_phone SORT orders.o_custkey FILTER",
        ),
    ];
    for (number, wanted) in wanted {
        expect(&engine, queries[number - 1], wanted);
    }
}
