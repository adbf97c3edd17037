//! temp
use std::sync::Arc; use std::time::{Duration,Instant};
use gadwall_ducklake::*; use gadwall_domain::{ids::*, names::*, schema::*, table::*, types::*, commit::*, rows::*, query::*, ports::lake::*};
use arrow::array::*; use futures_util::StreamExt;
#[tokio::test(flavor="multi_thread")]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let t=Instant::now();
    let lakes = EmbeddedLakes::open(&LakeConfig{ lakes_dir: dir.path().join("lakes"), staging_dir: dir.path().join("staging"), spill_dir: dir.path().join("spill"),
      extension_dir: find_extension_dir(None).unwrap(), memory_limit: 1<<30, spill_limit: 10<<30, threads: 2, max_queries: 8, max_waiting: 100, queue_timeout: Duration::from_secs(5), max_attached: 4, writer_queue: 64, inlining_row_limit: 0, encrypted: false }).unwrap();
    println!("open {:?}", t.elapsed());
    let lake = LakeId::new(uuid::Uuid::from_u128(7));
    let t=Instant::now(); lakes.create(lake).await.unwrap(); println!("create {:?}", t.elapsed());
    let o = || WriteOrigin{key_id:None, request_id: RequestId::parse("r").unwrap(), traceparent:None, run_id:None, idempotency_key:None};
    let b = BucketName::parse("Sales").unwrap();
    println!("{:?}", lakes.write(lake, LakeWrite::CreateBucket{bucket:b.clone(), description:None}, o()).await);
    println!("{:?}", lakes.write(lake, LakeWrite::CreateBucket{bucket:b.clone(), description:None}, o()).await);
    let col=|n:&str,t:&str| Column{name:ColumnName::parse(n).unwrap(), data_type: DataType::parse(t).unwrap(), nullable:true, default:None};
    let schema = TableSchema::new(vec![col("id","INT"), col("US Gross","STRUCT(a DECIMAL(10,2), b VARCHAR[])"), col("c","CHAR(3)")], vec![ColumnName::parse("id").unwrap()]).unwrap();
    let tr = TableRef::parse("sales.t").unwrap();
    println!("{:?}", lakes.write(lake, LakeWrite::CreateTable{table:tr.clone(), schema:schema.clone()}, o()).await);
    let batch = |ids: Vec<Option<&str>>, c:&str| { let n=ids.len(); let rb = RecordBatch::try_from_iter(vec![("id", Arc::new(StringArray::from(ids)) as ArrayRef), ("US Gross", Arc::new(StringArray::from(vec![r#"{"a":"1.25","b":["x",null]}"#;n])) as ArrayRef), ("c", Arc::new(StringArray::from(vec![c;n])) as ArrayRef)]).unwrap(); RowSource::Batches(Box::pin(futures_util::stream::iter(vec![Ok(RowBatch{rows:rb, violations: Violations::default()})]))) };
    for (ids,c) in [(vec![Some("1"),Some("2")],"abc"), (vec![Some("2"),Some("3")],"abc"),(vec![Some("5"),Some("5")],"abc"),(vec![Some("x"),None,Some("9")],"abc"),(vec![Some("11")],"abcd")] {
        let t=Instant::now();
        println!("{:?}", lakes.write(lake, LakeWrite::Append{table:tr.clone(), schema:schema.clone(), rows: batch(ids,c)}, o()).await); println!("append {:?}", t.elapsed());
    }
    println!("{:?}", lakes.buckets(lake).await); println!("{:?}", lakes.tables(lake,&b).await); println!("{:?}", lakes.commits_after(lake, SnapshotId::ZERO, 100).await);
    let mut p = lakes.preview(lake, &tr, 10).await.unwrap(); println!("{:?}", p.schema);
    while let Some(x)=p.batches.next().await { println!("{:?}", x.unwrap()); }
    for sql in ["select 1 as x, count(*) from range(10000000000)", "select * from (select 1::hugeint a, uuid() u, 'x'::bit c)", "select 'x'::int", "selec", "from range(100000) t(i) order by i", "select * from read_csv('/etc/passwd')"] {
    let t=Instant::now();
    match lakes.query(ReadScope{lake, only_bucket:None}, Query{sql:sql.into(), parameters:Parameters::None, default_bucket:None, timeout: Duration::from_millis(500)}).await {
      Ok(mut q)=>{ let mut n=0; loop { match q.rows.batches.next().await { Some(Ok(x))=>n+=x.num_rows(), Some(Err(e))=>{println!("{sql} mid {e:?}");break}, None=>break } } println!("{sql} {n} {:?} {:?}", q.snapshot, q.rows.schema.fields().iter().map(|f| format!("{f:?}")).collect::<Vec<_>>()) }
      Err(e)=>println!("{sql} {e:?}") } println!("{:?}", t.elapsed()); }
    println!("{:?}", lakes.write(lake, LakeWrite::DropBucket{bucket:b.clone(), cascade:false}, o()).await);
    println!("{:?}", lakes.write(lake, LakeWrite::DropBucket{bucket:b.clone(), cascade:true}, o()).await);
    lakes.remove(lake).await.unwrap();
    println!("{:?}", lakes.head(lake).await);
}
